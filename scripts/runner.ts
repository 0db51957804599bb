import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { entryPath, readMetadata } from './metadata.js';

export interface ActionRun {
  readonly code: number;
  readonly outputs: { readonly [name: string]: string };
  readonly state: { readonly [name: string]: string };
  readonly summary: string;
  readonly log: string;
}

export interface RunnerOptions {
  /** Where the runner's files and RUNNER_TEMP are. */
  readonly directory: string;
  readonly env?: NodeJS.ProcessEnv;
  /** The checkout that the action works on; this repository by default. */
  readonly workspace?: string;
  /** The node that runs it; the current one by default. */
  readonly node?: string;
  readonly onOutput?: (text: string) => void;
  readonly signal?: AbortSignal;
}

/** Variables that the runner sets itself: none of this process may reach the action. */
const RUNNER_OWN = /^(INPUT_|STATE_|GITHUB_|RUNNER_)/;

/** Runs an entry of dist/ in a process of its own with INPUT_* and the GITHUB_* files, and reads what it wrote. */
export async function runAction(
  name: string,
  inputs: { readonly [name: string]: string },
  options: RunnerOptions,
): Promise<ActionRun> {
  const files = runnerFiles(options.directory);
  const child = spawn(options.node ?? process.execPath, [entryPath(name)], {
    cwd: options.workspace ?? process.cwd(),
    env: {
      ...cleanEnvironment({ ...process.env, ...options.env }),
      ...runnerEnvironment(files, options),
      ...inputEnvironment(name, inputs),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      log += chunk.toString();
      options.onOutput?.(chunk.toString());
    });
  }
  options.signal?.addEventListener('abort', () => child.kill('SIGINT'), { once: true });
  const code = await new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => resolve(status ?? 1));
  });
  return {
    code,
    outputs: readCommandFile(files.output),
    state: readCommandFile(files.state),
    summary: readFileSync(files.summary, 'utf8'),
    log,
  };
}

function runnerFiles(directory: string) {
  const run = join(directory, randomUUID());
  const files = {
    temp: join(run, 'temp'),
    output: join(run, 'output'),
    state: join(run, 'state'),
    summary: join(run, 'summary.md'),
  };
  mkdirSync(files.temp, { recursive: true });
  for (const file of [files.output, files.state, files.summary]) writeFileSync(file, '');
  return files;
}

function runnerEnvironment(files: ReturnType<typeof runnerFiles>, options: RunnerOptions): NodeJS.ProcessEnv {
  return {
    GITHUB_ACTIONS: 'true',
    GITHUB_WORKSPACE: options.workspace ?? process.cwd(),
    GITHUB_REPOSITORY: 'example/shop',
    GITHUB_SERVER_URL: 'https://github.com',
    GITHUB_RUN_ID: '1',
    GITHUB_ACTOR: 'local',
    GITHUB_OUTPUT: files.output,
    GITHUB_STATE: files.state,
    GITHUB_STEP_SUMMARY: files.summary,
    RUNNER_TEMP: files.temp,
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
  };
}

function cleanEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !RUNNER_OWN.test(name)));
}

/** The defaults of action.yml under what is given, named as the runner names them. */
function inputEnvironment(name: string, given: { readonly [name: string]: string }): NodeJS.ProcessEnv {
  const declared = Object.entries(readMetadata(name).inputs).map(([key, input]) => [key, literal(input.default ?? '')]);
  const inputs = { ...Object.fromEntries(declared), ...given } as { [name: string]: string };
  return Object.fromEntries(Object.entries(inputs).map(([key, value]) => [`INPUT_${key.toUpperCase()}`, value]));
}

/** Expressions are evaluated on GitHub only; here they are empty. */
function literal(value: unknown): string {
  return String(value).replace(/\$\{\{[^}]*\}\}/g, '');
}

/** `name=value` lines and `name<<delimiter` blocks, as @actions/core writes them. */
function readCommandFile(path: string): { [name: string]: string } {
  const lines = readFileSync(path, 'utf8').split('\n');
  const values: { [name: string]: string } = {};
  for (let at = 0; at < lines.length; at += 1) {
    const [, name, delimiter] = /^(.*?)<<(.*)$/.exec(lines[at] ?? '') ?? [];
    if (name === undefined || delimiter === undefined) continue;
    const end = lines.indexOf(delimiter, at + 1);
    values[name] = lines.slice(at + 1, end).join('\n');
    at = end;
  }
  return values;
}
