/**
 * All tests: first what needs no host, then the lab's. The last line is `tests: N passed, N failed, N skipped`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { useEngine } from '../lab/engine/engine.js';
import { labImages } from '../lab/engine/images.js';
import { root } from './metadata.js';

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const ENGINE_TESTS = 'test/(lab|agent)/';
const directory = mkdtempSync(join(tmpdir(), 'test-'));
const running = new Set<ChildProcess>();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    for (const child of running) child.kill(signal);
  });
}

const say = (line: string) => console.log(line);
const engine = await useEngine(say);

async function jest(args: readonly string[]): Promise<Counts> {
  const report = join(directory, `${Math.random()}.json`);
  const bin = join(root, 'node_modules', 'jest', 'bin', 'jest.js');
  const words = [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    bin,
    '--json',
    `--outputFile=${report}`,
    ...args,
  ];
  const env = {
    ...process.env,
    ...engine.docker.env,
    LAB_HOST_IMAGE: images.host,
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
  };
  const code = await new Promise<number>((resolve, reject) => {
    const child = spawn(process.execPath, words, { cwd: root, env, stdio: ['ignore', 'ignore', 'inherit'] });
    running.add(child);
    child.on('error', reject);
    child.on('close', (status) => {
      running.delete(child);
      resolve(status ?? 1);
    });
  });
  return readCounts(report, code);
}

/** A suite that could not start counts as a failed test: it must never look like no test at all. */
function readCounts(report: string, code: number): Counts {
  try {
    const result = JSON.parse(readFileSync(report, 'utf8')) as { [key: string]: number };
    const failed = (result.numFailedTests ?? 0) + (result.numRuntimeErrorTestSuites ?? 0);
    return {
      passed: result.numPassedTests ?? 0,
      failed: failed === 0 && code !== 0 ? 1 : failed,
      skipped: (result.numPendingTests ?? 0) + (result.numTodoTests ?? 0),
    };
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

/** Without a selection: what needs no host first, then the hosts' tests, two files at a time since they mostly wait. */
async function runAll(selection: readonly string[]): Promise<Counts[]> {
  if (selection.length > 0) return [await jest(selection)];
  const rest = await jest([`--testPathIgnorePatterns=${ENGINE_TESTS}`]);
  return [rest, await jest(['--maxWorkers=2', `--testPathPatterns=${ENGINE_TESTS}`])];
}

let parts: Counts[] = [];
let images = { host: '' };
try {
  images = await labImages(engine.docker, say);
  parts = await runAll(process.argv.slice(2));
} finally {
  rmSync(directory, { recursive: true, force: true });
  await engine.release();
}
const sum = (key: keyof Counts) => parts.reduce((total, part) => total + part[key], 0);
console.log(`tests: ${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`);
process.exitCode = sum('failed') === 0 && sum('passed') > 0 ? 0 : 1;
