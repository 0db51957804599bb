import { spawn } from 'node:child_process';

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

/** What Docker needs where the machine refuses --privileged as a whole. */
const unprivileged =
  '--cap-add ALL --cap-drop SYS_RESOURCE --security-opt seccomp=unconfined --security-opt apparmor=unconfined ' +
  '--security-opt systempaths=unconfined --cgroupns host -v /sys/fs/cgroup:/sys/fs/cgroup:rw';

/** HOST_CONTAINER names one that runs already; else one is started from the image HOST_IMAGE. Undefined without either. */
export async function openHostContainer(): Promise<HostContainer | undefined> {
  const given = process.env.HOST_CONTAINER;
  if (given) return handle(given, async () => {});
  const image = process.env.HOST_IMAGE ?? 'labhost';
  if ((await docker(['image', 'inspect', image])).code !== 0) return undefined;
  const name = `host-scripts-${process.pid}`;
  const remove = async () => void (await docker(['rm', '-f', '-v', name]));
  for (const rights of [['--privileged'], [...unprivileged.split(' '), '--device-cgroup-rule', 'a *:* rwm']]) {
    const started = await docker(['run', '-d', '--name', name, ...rights, '--entrypoint', 'dockerd', image]);
    if (started.code === 0) return handle(name, remove);
    await remove();
  }
  throw new Error(`No container can be started from ${image}.`);
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
