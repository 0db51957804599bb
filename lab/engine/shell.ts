import { spawn } from 'node:child_process';

export interface ShellOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string | Buffer;
  readonly signal?: AbortSignal;
  /** Called with each line of stdout and stderr as it arrives. */
  readonly onLine?: (line: string) => void;
  /** Ends the command after this time. */
  readonly timeoutMilliseconds?: number;
}

export interface ShellResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program without a shell and gives back how it ended; only a program that can't be started rejects. */
export function tryRun(command: string, args: readonly string[], options: ShellOptions = {}): Promise<ShellResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args], {
      cwd: options.cwd,
      env: options.env ?? process.env,
      signal: options.signal,
      timeout: options.timeoutMilliseconds,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const stdout = collect(child.stdout, options.onLine);
    const stderr = collect(child.stderr, options.onLine);
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? -1, stdout: stdout(), stderr: stderr() }));
    child.stdin.on('error', () => {});
    child.stdin.end(options.input);
  });
}

/** Runs a program and gives back its stdout; an exit status other than 0 rejects with the end of its output. */
export async function run(command: string, args: readonly string[], options: ShellOptions = {}): Promise<string> {
  const result = await tryRun(command, args, options);
  if (result.code === 0) return result.stdout;
  const output = `${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-15).join('\n');
  throw new Error(`${command} ${args.slice(0, 4).join(' ')} … ended with status ${result.code}:\n${output}`);
}

function collect(stream: NodeJS.ReadableStream, onLine?: (line: string) => void): () => string {
  const chunks: Buffer[] = [];
  let rest = '';
  stream.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    if (!onLine) return;
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  });
  return () => Buffer.concat(chunks).toString();
}
