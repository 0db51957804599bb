import { existsSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { anchorsIn, linksIn, type Page, pages } from './pages.js';

/** Why a link leads nowhere; undefined where it is fine, or leads out of the repository. */
function broken({ directory, text }: Page, target: string): string | undefined {
  if (/^(https?|mailto):/.test(target)) return undefined;
  const [file = '', anchor] = target.split('#');
  const path = resolve(directory, decodeURI(file));
  if (file !== '' && !existsSync(path)) return `${target}: there is no such file`;
  if (anchor === undefined) return undefined;
  if (file !== '' && statSync(path).isDirectory()) return `${target}: a folder has no headings`;
  const page = file === '' ? text : readFileSync(path, 'utf8');
  return anchorsIn(page).has(anchor) ? undefined : `${target}: there is no such heading`;
}

describe.each(pages().map((page) => [page.path, page] as const))('%s', (_path, page) => {
  test('every link leads to a file and a heading that exist', () => {
    expect(linksIn(page.text).flatMap((target) => broken(page, target) ?? [])).toEqual([]);
  });
});

test('a link to a missing file or heading would be found', () => {
  const page = { path: 'x.md', directory: join(import.meta.dirname), text: '# One\n[a](#one) [b](#two) [c](no.md)' };
  expect(linksIn(page.text).map((target) => broken(page, target))).toEqual([
    undefined,
    '#two: there is no such heading',
    'no.md: there is no such file',
  ]);
});
