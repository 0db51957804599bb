/** `npm run action -- NAME key=value …`: runs an entry of dist/ as the GitHub runner would. */
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { jobLog } from './console.js';
import { actionNames, root } from './metadata.js';
import { runAction } from './runner.js';

const [name, ...assignments] = process.argv.slice(2);
if (name === undefined || !actionNames().includes(name)) {
  console.error(`usage: npm run action -- NAME key=value …\nNAME is one of: ${actionNames().join(', ')}`);
  process.exit(2);
}

// Kept until the next run: the report is in it.
const directory = join(root, 'out', 'action');
rmSync(directory, { recursive: true, force: true });
mkdirSync(directory, { recursive: true });
const result = await runAction(name, inputsOf(assignments), {
  directory,
  onOutput: jobLog((text) => process.stdout.write(text)),
});
for (const [output, value] of Object.entries(result.outputs)) console.log(`output ${output}=${value}`);
if (result.summary) console.log(`\n--- job summary ---\n${result.summary}`);
process.exitCode = result.code;

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
