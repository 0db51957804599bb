import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { actionNames, entryPath, readMetadata, root } from '../../scripts/metadata.js';
import { runAction } from '../../scripts/runner.js';

const directory = mkdtempSync(join(tmpdir(), 'entries-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe.each(actionNames())('dist entry of %s', (name) => {
  test('runs as on GitHub: without inputs it says which are missing and ends red', async () => {
    const { code, log } = await runAction(name, {}, { directory, workspace: directory });
    const required = Object.entries(readMetadata(name).inputs).filter(([, input]) => input.required);
    expect(required.length).toBeGreaterThan(0);
    for (const [input] of required) expect(log).toContain(`'${input}'`);
    expect(log).toContain('::error::');
    expect(log).not.toMatch(/Cannot find module|webpackMissingModule is not|SyntaxError|ReferenceError/);
    expect(code).toBe(1);
  });

  test('is one of the stubs on the common bundle', () => {
    expect(readFileSync(entryPath(name), 'utf8')).toContain("from './index.js'");
  });
});

test('the bundle lacks no module', () => {
  expect(readFileSync(join(root, 'dist', 'index.js'), 'utf8')).not.toContain('webpackMissingModule');
});
