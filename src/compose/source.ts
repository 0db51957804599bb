import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type YAMLMap,
} from 'yaml';

export interface SourceFile {
  /** As a problem names it: `compose.yaml`. */
  readonly name: string;
  readonly text: string;
}

/** Finds the line of a place in the compose files: `compose.yaml:12`. */
export interface Sources {
  /**
   * `path` is the keys from the top (`services`, `api`, `ports`). In a list, `hint` picks the item whose text holds it.
   * What is not written anywhere is placed at the nearest key above it; the later of two files wins, as in compose.
   */
  locate(path: readonly string[], hint?: string): string;
  /** The plain text of a top-level key, from the last file that has it. */
  topLevelText(key: string): string | undefined;
}

interface Parsed {
  readonly file: SourceFile;
  readonly document: Document.Parsed;
  readonly lines: LineCounter;
}

interface Hit {
  readonly depth: number;
  readonly offset: number;
}

export function sourcesOf(files: readonly SourceFile[]): Sources {
  const parsed = files.map((file): Parsed => {
    const lines = new LineCounter();
    return { file, lines, document: parseDocument(file.text, { lineCounter: lines, merge: true, logLevel: 'silent' }) };
  });
  return {
    locate: (path, hint) => locate(parsed, path, hint),
    topLevelText: (key) =>
      parsed.map(({ document }) => topLevelText(document, key)).findLast((text) => text !== undefined),
  };
}

function locate(parsed: readonly Parsed[], path: readonly string[], hint: string | undefined): string {
  let best: { readonly place: string; readonly depth: number } | undefined;
  for (const { file, document, lines } of parsed) {
    const hit = find(document, file.text, path, hint);
    if (hit && hit.depth >= (best?.depth ?? 0))
      best = { place: `${file.name}:${lines.linePos(hit.offset).line}`, depth: hit.depth };
  }
  return best?.place ?? parsed[0]?.file.name ?? 'compose.yaml';
}

function find(
  document: Document.Parsed,
  text: string,
  path: readonly string[],
  hint: string | undefined,
): Hit | undefined {
  let node: Node | null = document.contents;
  let hit: Hit | undefined;
  for (const [index, key] of path.entries()) {
    const map = resolved(node, document);
    const pair = isMap(map) ? pairIn(map, key, document) : undefined;
    if (!pair) return hit;
    hit = { depth: index + 1, offset: pair.offset };
    node = pair.value;
  }
  const item = hint === undefined ? undefined : itemWith(resolved(node, document), text, hint);
  return item === undefined ? hit : { depth: path.length + 1, offset: item };
}

function pairIn(
  map: YAMLMap,
  key: string,
  document: Document.Parsed,
): { offset: number; value: Node | null } | undefined {
  for (const { key: name, value } of map.items) {
    if (isScalar(name) && String(name.value) === key)
      return { offset: name.range?.[0] ?? 0, value: value as Node | null };
  }
  for (const { key: name, value } of map.items) {
    if (!isScalar(name) || (name.value !== '<<' && name.source !== '<<')) continue;
    const merged = resolved(value as Node | null, document);
    for (const source of isSeq(merged) ? merged.items : [merged]) {
      const base = resolved(source as Node | null, document);
      const pair = isMap(base) ? pairIn(base, key, document) : undefined;
      if (pair) return pair;
    }
  }
  return undefined;
}

function itemWith(node: Node | null, text: string, hint: string): number | undefined {
  if (!isSeq(node)) return undefined;
  // Compose rewrites the folders of what it includes; the last part of a path is as it was written.
  for (const part of [hint, hint.slice(hint.lastIndexOf('/') + 1)]) {
    const item = (node.items as Node[]).find(({ range }) => range && text.slice(range[0], range[1]).includes(part));
    if (item) return item.range?.[0];
  }
  return undefined;
}

function resolved(node: Node | null, document: Document.Parsed): Node | null {
  return isAlias(node) ? (node.resolve(document) ?? null) : node;
}

function topLevelText(document: Document.Parsed, key: string): string | undefined {
  const value = document.get(key);
  return typeof value === 'string' ? value : undefined;
}
