import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { problem } from '../problem.js';

export interface DockerRun {
  readonly input?: string;
  /** Over the CLI's own environment; `undefined` takes a variable away. */
  readonly env?: { readonly [name: string]: string | undefined };
  readonly cwd?: string;
  readonly signal?: AbortSignal;
  /** Called with each line of both outputs as it comes. */
  readonly onLine?: (line: string) => void;
}

export interface DockerResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The docker command of the machine that builds. A failing command is a result; only a missing one is an error. */
export interface DockerCli {
  /** Throws a ProblemsError (DOCKER_NOT_FOUND), or the signal's reason when it is aborted. */
  run(args: readonly string[], options?: DockerRun): Promise<DockerResult>;
}

export interface DockerCliOptions {
  readonly program?: string;
  readonly environment?: { readonly [name: string]: string | undefined };
}

export function dockerCli({ program = 'docker', environment = process.env }: DockerCliOptions = {}): DockerCli {
  return { run: (args, options = {}) => runProgram(program, args, environment, options) };
}

/** The same docker with other variables for every command. */
export function withEnvironment(docker: DockerCli, env: { readonly [name: string]: string | undefined }): DockerCli {
  return { run: (args, options = {}) => docker.run(args, { ...options, env: { ...env, ...options.env } }) };
}

function runProgram(
  program: string,
  args: readonly string[],
  environment: { readonly [name: string]: string | undefined },
  { input, env, cwd, signal, onLine }: DockerRun,
): Promise<DockerResult> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const child = spawn(program, args, { env: { ...environment, ...env }, cwd, signal, stdio: 'pipe' });
    const stdout: string[] = [];
    const stderr: string[] = [];
    child.stdout.setEncoding('utf8').on('data', (text: string) => stdout.push(text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => stderr.push(text));
    if (onLine)
      for (const output of [child.stdout, child.stderr]) createInterface({ input: output }).on('line', onLine);
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(signal?.aborted ? signal.reason : missing(program, error)),
    );
    child.on('close', (code) => resolve({ code: code ?? 1, stdout: stdout.join(''), stderr: stderr.join('') }));
    // A command that ends without reading its input closes the pipe; its exit code says what happened.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input ?? '');
  });
}

function missing(program: string, error: NodeJS.ErrnoException): Error {
  if (error.code !== 'ENOENT') return error;
  return problem('DOCKER_NOT_FOUND', `The command "${program}" is not on this runner.`, {
    fix: 'Run the job on a runner with Docker, the compose plugin and buildx, such as ubuntu-latest.',
  });
}
