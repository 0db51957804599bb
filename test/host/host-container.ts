import { spawn } from 'node:child_process';
import { PRIVILEGES } from '../../lab/hosts/host.js';

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A container that plays an instance: a Docker daemon of its own, compose, and a registry on 127.0.0.1:5000. */
export interface HostContainer {
  readonly name: string;
  /** Runs a host script as the SSM agent does: `sh -c FILE`, no HOME, /usr/bin as directory, stdin closed. */
  script(text: string): Promise<Ended>;
  /** Runs shell commands as somebody with a terminal would. Rejects with their output when they fail. */
  shell(text: string, input?: string): Promise<string>;
  close(): Promise<void>;
}

/** HOST_CONTAINER names one that runs already; else one is started from the lab's host image. */
export async function openHostContainer(): Promise<HostContainer> {
  const given = process.env.HOST_CONTAINER;
  if (given) return handle(given, async () => {});
  const image = process.env.LAB_HOST_IMAGE;
  if (!image) throw new Error('There is no host image. Run it with: npm test -- test/lab/host-scripts');
  const name = `host-scripts-${process.pid}`;
  const remove = async () => void (await docker(['rm', '-f', '-v', name]));
  let refusal = '';
  for (const privileges of PRIVILEGES) {
    const started = await docker(['run', '-d', '--name', name, ...privileges, '--entrypoint', 'dockerd', image]);
    if (started.code === 0) return handle(name, remove);
    refusal = started.stderr;
    await remove();
  }
  throw new Error(`No container can be started from ${image}: ${refusal}`);
}

function handle(name: string, close: () => Promise<void>): HostContainer {
  const shell = async (text: string, input?: string) => {
    const ended = await docker(['exec', ...(input === undefined ? [] : ['-i']), name, 'bash', '-ec', text], input);
    if (ended.code === 0) return ended.stdout.trim();
    throw new Error(`${text}\n${ended.stdout}${ended.stderr}`);
  };
  let scripts = 0;
  const script = async (text: string) => {
    scripts += 1;
    const file = `/var/tmp/script-${scripts}.sh`;
    await shell(`cat >${file} && chmod 700 ${file}`, text);
    const environment = [
      'env',
      '-i',
      'LANG=C.UTF-8',
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin',
      'USER=root',
    ];
    return docker(['exec', '-w', '/usr/bin', name, ...environment, 'sh', '-c', file]);
  };
  return { name, script, shell, close };
}

export function docker(args: readonly string[], input?: string): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn('docker', args, { stdio: ['pipe', 'pipe', 'pipe'] });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.stdin.on('error', () => {});
    child.on('error', (error) => resolve({ code: -1, stdout: '', stderr: error.message }));
    child.on('close', (code) => {
      resolve({ code: code ?? -1, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() });
    });
    child.stdin.end(input ?? '');
  });
}
