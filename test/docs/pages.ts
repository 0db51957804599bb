import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { root } from '../../scripts/metadata.js';

/** Not written by us, or not part of the repository. */
const LEFT_OUT = new Set(['node_modules', 'dist', 'out', 'coverage', '.git']);

export interface Page {
  /** Relative to the repository. */
  readonly path: string;
  readonly directory: string;
  readonly text: string;
}

/** Every Markdown page of the repository. */
export function pages(): Page[] {
  return markdownIn(root)
    .sort()
    .map((path) => ({ path: relative(root, path), directory: dirname(path), text: readFileSync(path, 'utf8') }));
}

function markdownIn(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    if (LEFT_OUT.has(entry.name)) return [];
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return markdownIn(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

const FENCE = /^```(\w*)[^\n]*\n([\s\S]*?)^```/gm;

/** The fenced blocks of a language. */
export function snippets(text: string, language: string): string[] {
  return [...text.matchAll(FENCE)].flatMap(([, name, body = '']) => (name === language ? [body] : []));
}

/** Targets of links and images, code left out. */
export function linksIn(text: string): string[] {
  const prose = withoutFences(text).replace(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^()\s]+)\)/g)].map(([, target = '']) => target);
}

/** The anchors that GitHub gives to the headings of a page. */
export function anchorsIn(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const heading of headingsIn(text)) {
    const words = heading.replace(/[`*]/g, '').toLowerCase();
    const slug = words.replace(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(' ', '-');
    let name = slug;
    for (let again = 1; anchors.has(name); again += 1) name = `${slug}-${again}`;
    anchors.add(name);
  }
  return anchors;
}

export function headingsIn(text: string): string[] {
  return [...withoutFences(text).matchAll(/^#{1,6} +(.+?) *$/gm)].map(([, heading = '']) => heading);
}

function withoutFences(text: string): string {
  return text.replace(FENCE, '');
}
