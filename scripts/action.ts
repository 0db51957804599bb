/** `npm run action -- NAME key=value …`: runs an entry of dist/ as the GitHub runner would. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jobLog } from './console.js';
import { actionNames } from './metadata.js';
import { runAction } from './runner.js';

const [name, ...assignments] = process.argv.slice(2);
if (name === undefined) {
  console.error(`usage: npm run action -- NAME key=value …\nNAME is one of: ${actionNames().join(', ')}`);
  process.exit(2);
}

const directory = mkdtempSync(join(tmpdir(), 'action-'));
try {
  const result = await runAction(name, inputsOf(assignments), {
    directory,
    onOutput: jobLog((text) => process.stdout.write(text)),
  });
  for (const [output, value] of Object.entries(result.outputs)) console.log(`output ${output}=${value}`);
  if (result.summary) console.log(`\n--- job summary ---\n${result.summary}`);
  process.exitCode = result.code;
} finally {
  rmSync(directory, { recursive: true, force: true });
}

/** `key=value`, or `key=@FILE` for values of several lines. */
function inputsOf(words: readonly string[]): { [name: string]: string } {
  return Object.fromEntries(
    words.map((word) => {
      const at = word.indexOf('=');
      if (at < 1) throw new Error(`'${word}' is not key=value.`);
      const value = word.slice(at + 1);
      return [word.slice(0, at), value.startsWith('@') ? readFileSync(value.slice(1), 'utf8') : value];
    }),
  );
}
