import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { root } from '../../scripts/metadata.js';
import { headingsIn } from './pages.js';

/** Quoted words in capitals that are no codes of problems: variables, and the words of others. */
const NO_CODES = [
  'COMPOSE_PROFILES',
  'COMPOSE_PROJECT_NAME',
  'DEPLOY_COMMIT',
  'DEPLOY_ENVIRONMENT',
  'DEPLOY_RELEASE',
  'EAI_AGAIN',
  'IMMUTABLE_WITH_EXCLUSION',
];

const WORD = '[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+';
/** Any quoted word of that form in TypeScript; what the shell functions that report problems are given. */
const IN_TYPESCRIPT = new RegExp(`'(${WORD})'|code: '([A-Z]+)'`, 'g');
const IN_SHELL = new RegExp(`\\bproblem (${WORD})\\b|\\b\\w+_problem (${WORD})\\b`, 'g');

function wordsIn(extension: string, pattern: RegExp): string[] {
  const source = join(root, 'src');
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith(extension) && !name.endsWith('.generated.ts'),
  );
  const texts = files.map((name) => readFileSync(join(source, name), 'utf8'));
  return texts.flatMap((text) => [...text.matchAll(pattern)].map(([, one, other]) => one ?? other ?? ''));
}

const words = new Set([...wordsIn('.ts', IN_TYPESCRIPT), ...wordsIn('.sh', IN_SHELL)]);
const codes = [...words].filter((word) => !NO_CODES.includes(word)).sort();
const page = readFileSync(join(root, 'docs', 'troubleshooting.md'), 'utf8');
const headings = headingsIn(page).filter((heading) => new RegExp(`^(${WORD}|CANCELLED)$`).test(heading));

test('the search finds codes of every kind: thrown, of the gate, of a host, of one word', () => {
  expect(codes).toEqual(
    expect.arrayContaining([
      'REPOSITORY_NOT_FOUND',
      'TARGET_UNHEALTHY',
      'HOST_DISK_FULL',
      'HOST_PULL_FAILED',
      'CANCELLED',
    ]),
  );
  expect(NO_CODES.filter((word) => !words.has(word))).toEqual([]);
});

test('every problem that the code can report has its paragraph', () => {
  expect(codes.filter((code) => !headings.includes(code))).toEqual([]);
});

test('no paragraph is about a problem that the code does not know, and none is there twice', () => {
  expect(headings.filter((heading) => !codes.includes(heading))).toEqual([]);
  expect(headings).toHaveLength(new Set(headings).size);
});

test('each paragraph says something, and what to do', () => {
  const paragraphs = page.split(/^### /m).slice(1);
  const short = paragraphs.filter((text) => !/\*\*Do:\*\* \S/.test(text)).map((text) => text.split('\n')[0]);
  expect(short).toEqual([]);
});
