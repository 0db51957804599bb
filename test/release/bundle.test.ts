import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { writeBundle } from '../../src/release/bundle.js';
import { isReleaseId, releaseId } from '../../src/release/release-id.js';
import { checkout, DIGEST, REPOSITORY, release, removeCheckouts } from '../compose/project.js';

const directories: string[] = [];
afterAll(() => {
  removeCheckouts();
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

const HEAD = {
  id: '20261122-153000-3f2c1ab',
  app: 'shop',
  environment: 'production',
  project: 'shop',
  commit: '3f2c1ab9',
};
const FILES = {
  '.env': 'TAG=16\n',
  'bin/start.sh': '#!/bin/sh\n',
  'secret.txt': 's',
  'compose.yaml': `services:
  api: {build: ., ports: ["80:80"], restart: always, volumes: ["./bin:/bin/app:ro"], secrets: [s]}
  db: {image: "postgres:\${TAG}"}
secrets: {s: {file: secret.txt}}
`,
};

async function bundle(): Promise<string> {
  const repository = checkout(FILES);
  chmodSync(join(repository, 'bin/start.sh'), 0o755);
  chmodSync(join(repository, 'secret.txt'), 0o600);
  const directory = mkdtempSync(join(tmpdir(), 'bundle-'));
  directories.push(directory);
  await writeBundle({ directory, release: HEAD, compiled: await release(repository) });
  return join(directory, 'release');
}

/** Every file with its mode, time and bytes. */
function contents(directory: string): readonly (readonly unknown[])[] {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true }).sort((a, b) =>
    join(a.parentPath, a.name) < join(b.parentPath, b.name) ? -1 : 1,
  );
  return entries.map((entry) => {
    const path = join(entry.parentPath, entry.name);
    const { mode, mtimeMs } = statSync(path);
    return [
      path.slice(directory.length + 1),
      (mode & 0o777).toString(8),
      mtimeMs,
      entry.isFile() ? readFileSync(path, 'utf8') : '',
    ];
  });
}

test('a bundle holds the models and the files that travel, with their modes', async () => {
  const found = contents(await bundle());
  expect(found.map(([path, mode]) => `${mode} ${path}`)).toEqual([
    '755 files',
    '644 files/.env',
    '755 files/bin',
    '755 files/bin/start.sh',
    '600 files/secret.txt',
    '644 release.json',
    '644 shared.json',
    '644 slot-blue.json',
  ]);
});

test('the record tells the host what to run', async () => {
  const record = JSON.parse(readFileSync(join(await bundle(), 'release.json'), 'utf8')) as unknown;
  expect(record).toMatchObject({
    v: 1,
    ...HEAD,
    images: { api: `${REPOSITORY}@${DIGEST}`, db: `postgres:\${TAG}` },
    services: [
      { name: 'api', role: 'rolled' },
      { name: 'db', role: 'pinned' },
    ],
    web: [{ service: 'api', publishedPort: 80, containerPort: 80 }],
    variables: [{ name: 'TAG', required: false }],
    envFiles: ['.env'],
  });
});

test('two runners make the same bundle to the byte', async () => {
  expect(contents(await bundle())).toEqual(contents(await bundle()));
});

test('a plan, whose images are not built yet, makes no bundle', async () => {
  const compiled = await release(FILES, { images: {} });
  await expect(writeBundle({ directory: tmpdir(), release: HEAD, compiled })).rejects.toThrow(
    'A bundle needs the images of api',
  );
});

test('release ids sort by time and name the commit', () => {
  const ids = [
    releaseId(new Date('2026-11-22T15:30:00Z'), '3F2C1AB9d0'),
    releaseId(new Date('2026-11-22T15:30:01Z'), '0000000'),
    releaseId(new Date('2027-01-01T00:00:00+02:00'), ''),
  ];
  expect(ids).toEqual(['20261122-153000-3f2c1ab', '20261122-153001-0000000', '20261231-220000-nogit']);
  expect([...ids].sort()).toEqual(ids);
  expect(ids.every(isReleaseId)).toBe(true);
});
