import { createHash } from 'node:crypto';
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join, posix, relative, sep } from 'node:path';
import { type FileFact, type FileFacts, type HashedFile, isOutside, MAX_FILE_BYTES, referencesOf } from './files.js';
import { Findings } from './findings.js';
import type { ParsedCompose } from './parse.js';

/** Looks at every path of the project directory that the model refers to. Reads, never writes; missing is an answer. */
export async function collectFiles({ model, envFiles, values, projectDirectory }: ParsedCompose): Promise<FileFacts> {
  const references = referencesOf(model, envFiles, values, new Findings(() => ''));
  const paths = new Set(references.flatMap(({ travels }) => (travels === undefined ? [] : [travels])));
  const root = await realpath(projectDirectory);
  const facts = await Promise.all([...paths].map(async (path) => [path, await lookAt(root, path)] as const));
  return Object.fromEntries(facts);
}

const OUTSIDE: FileFact = { kind: 'outside', bytes: 0, files: [] };
const MISSING: FileFact = { kind: 'missing', bytes: 0, files: [] };

async function lookAt(root: string, path: string): Promise<FileFact> {
  if (isOutside(path)) return OUTSIDE;
  // The project directory as a whole never travels; it is not worth reading.
  if (path === '.') return { kind: 'directory', bytes: 0, files: [] };
  const walk = new Walk(root);
  const kind = await walk.add(path);
  if (kind === 'missing') return MISSING;
  if (walk.outside) return OUTSIDE;
  if (walk.bytes > MAX_FILE_BYTES) return { kind: 'too-large', bytes: walk.bytes, files: [] };
  return { kind, bytes: walk.bytes, files: walk.files };
}

/** Follows links inside the project directory and stops reading once the limit is passed. */
class Walk {
  readonly files: HashedFile[] = [];
  bytes = 0;
  outside = false;
  private readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  async add(path: string, above: readonly string[] = []): Promise<'file' | 'directory' | 'missing'> {
    const real = await realpath(join(this.root, path)).catch(() => undefined);
    if (real === undefined) return 'missing';
    if (relative(this.root, real).split(sep)[0] === '..') this.outside = true;
    const facts = await stat(real);
    if (facts.isDirectory()) {
      if (!this.outside && !above.includes(real)) await this.addEntries(path, real, [...above, real]);
      return 'directory';
    }
    this.bytes += facts.size;
    if (facts.isFile() && !this.outside && this.bytes <= MAX_FILE_BYTES)
      await this.addFile(path, real, facts.mode & 0o777);
    return 'file';
  }

  private async addEntries(path: string, real: string, above: readonly string[]): Promise<void> {
    for (const name of (await readdir(real)).sort()) {
      if (this.bytes > MAX_FILE_BYTES) return;
      await this.add(posix.join(path, name), above);
    }
  }

  private async addFile(path: string, source: string, mode: number): Promise<void> {
    const content = await readFile(source);
    const sha256 = createHash('sha256').update(content).digest('hex');
    this.files.push({ path, source, mode, bytes: content.length, sha256 });
  }
}
