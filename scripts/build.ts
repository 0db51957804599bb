/**
 * Makes dist/: one bundle of everything and a stub an action, so that the SDK is there once. The result is the same on
 * every machine; CI compares it with what is committed.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { actionNames, entryPath, root } from './metadata.js';

const dist = join(root, 'dist');

function bundle(): void {
  for (const name of readdirSync(root).includes('dist') ? readdirSync(dist) : []) {
    rmSync(join(dist, name), { recursive: true });
  }
  const ncc = join(root, 'node_modules', '@vercel', 'ncc', 'dist', 'ncc', 'cli.js');
  const args = [ncc, 'build', join(root, 'src', 'index.ts'), '-o', dist, '--license', 'licenses.txt'];
  const result = spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  if (result.status !== 0) throw new Error(`ncc ended with status ${result.status}:\n${result.stdout}`);
}

/** `health-gate` is exported as `healthGate`. */
function exportName(action: string): string {
  return action.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

function writeStub(action: string): void {
  const name = exportName(action);
  writeFileSync(join(dist, basename(entryPath(action))), `import { ${name} } from './index.js';\n\nawait ${name}();\n`);
}

bundle();
for (const action of actionNames()) writeStub(action);
console.log(`dist/: index.js and ${actionNames().length} entries (${actionNames().join(', ')})`);
