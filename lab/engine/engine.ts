import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Say } from '../say.js';
import { type Docker, dockerWith } from './docker.js';
import { type NetworkBefore, readNetwork, restoreNetwork } from './firewall.js';
import { isAlive, labHome, readPid, withLock } from './home.js';
import { EngineMissingError, enginePrograms } from './packages.js';
import { tryRun } from './shell.js';

export interface Engine {
  readonly docker: Docker;
  /** Ends our use of it; the last user of an engine that we started stops it and leaves nothing behind. */
  release(): Promise<void>;
}

const START_PATIENCE_MILLISECONDS = 60_000;
const STOP_PATIENCE_MILLISECONDS = 60_000;
const LOOK_MILLISECONDS = 100;

/** How often this process has asked for the engine: each use is one user. */
let uses = 0;

/** The machine's own engine where one answers; otherwise one with a data root, socket and configuration of its own. */
export async function useEngine(say: Say): Promise<Engine> {
  const own = dockerWith({});
  if (await answers(own)) {
    await requirePlugins(own);
    return { docker: own, release: async () => {} };
  }
  const home = labHome();
  return withLock('engine', async () => {
    const files = engineFiles(home);
    const programs = await enginePrograms(home, say);
    const docker = dockerWith(engineEnvironment(files, programs.path, programs.plugins));
    forgetDeadUsers(files.users);
    if (!(await answers(docker))) await start(files, docker);
    uses += 1;
    const user = join(files.users, `${process.pid}.${uses}`);
    writeFileSync(user, '');
    return { docker, release: () => withLock('engine', () => leave(files, docker, user)) };
  });
}

/** Whether there can be anything in an engine: one answers, or one of ours was started and never left in order. */
export async function isEngineInUse(): Promise<boolean> {
  return (await answers(dockerWith({}))) || existsSync(engineFiles(labHome()).before);
}

function engineFiles(home: string) {
  const root = join(home, 'engine');
  const files = {
    data: join(root, 'data'),
    exec: join(root, 'run', 'exec'),
    socket: join(root, 'run', 'docker.sock'),
    pid: join(root, 'run', 'docker.pid'),
    log: join(root, 'dockerd.log'),
    before: join(root, 'run', 'network.json'),
    config: join(root, 'config'),
    users: join(root, 'users'),
  };
  for (const folder of [files.data, files.exec, files.config, files.users]) mkdirSync(folder, { recursive: true });
  return files;
}
type EngineFiles = ReturnType<typeof engineFiles>;

function engineEnvironment(files: EngineFiles, path: string, plugins: string): NodeJS.ProcessEnv {
  const link = join(files.config, 'cli-plugins');
  if (!existsSync(link)) symlinkSync(plugins, link);
  return {
    DOCKER_HOST: `unix://${files.socket}`,
    DOCKER_CONFIG: files.config,
    PATH: `${path}:${process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin'}`,
  };
}

async function answers(docker: Docker): Promise<boolean> {
  const result = await docker.attempt(['info', '--format', '{{.ServerVersion}}']).catch(() => undefined);
  return result?.code === 0 && result.stdout.trim() !== '';
}

async function requirePlugins(docker: Docker): Promise<void> {
  const missing = [];
  for (const plugin of ['compose', 'buildx']) {
    if ((await docker.attempt([plugin, 'version'])).code !== 0) missing.push(plugin);
  }
  if (missing.length === 0) return;
  throw new EngineMissingError(
    `Docker answers but has no ${missing.join(' and no ')} plugin: install it (https://docs.docker.com/compose/install/linux/).`,
  );
}

async function start(files: EngineFiles, docker: Docker): Promise<void> {
  // One that was killed left its rules and this file: the network as it is now is not the one to go back to.
  if (!existsSync(files.before)) writeFileSync(files.before, JSON.stringify(await readNetwork()));
  rmSync(files.pid, { force: true });
  const log = openSync(files.log, 'w');
  const child = spawn(
    'dockerd',
    ['--data-root', files.data, '--exec-root', files.exec, '-H', `unix://${files.socket}`, '--pidfile', files.pid],
    { detached: true, stdio: ['ignore', log, log], env: { ...process.env, ...docker.env } },
  );
  child.unref();
  let ended = false;
  child.on('exit', () => {
    ended = true;
  });
  child.on('error', () => {
    ended = true;
  });
  const deadline = Date.now() + START_PATIENCE_MILLISECONDS;
  while (!(await answers(docker))) {
    if (ended || Date.now() > deadline) throw new Error(`The Docker engine did not start:\n${tail(files.log)}`);
    await pause();
  }
}

/** Stops the engine when nobody else uses it. */
async function leave(files: EngineFiles, docker: Docker, user: string): Promise<void> {
  rmSync(user, { force: true });
  forgetDeadUsers(files.users);
  if (readdirSync(files.users).length > 0) return;
  await removeContainers(docker);
  const pid = readPid(files.pid);
  if (pid !== undefined && isAlive(pid)) {
    process.kill(pid, 'SIGTERM');
    const deadline = Date.now() + STOP_PATIENCE_MILLISECONDS;
    while (isAlive(pid)) {
      if (Date.now() > deadline) throw new Error(`The Docker engine (process ${pid}) does not end.`);
      await pause();
    }
  }
  await unmountLeftovers([files.exec, files.data]);
  if (!existsSync(files.before)) return;
  await restoreNetwork(JSON.parse(readFileSync(files.before, 'utf8')) as NetworkBefore);
  rmSync(files.before);
  rmSync(files.before, { force: true });
}

/** Nobody else uses this engine, so whatever is still in it was left by something that died. */
async function removeContainers(docker: Docker): Promise<void> {
  const { stdout } = await docker.attempt(['ps', '-aq']);
  const containers = stdout.split('\n').filter(Boolean);
  if (containers.length > 0) await docker.attempt(['rm', '-f', '-v', ...containers]);
  await docker.attempt(['network', 'prune', '-f']);
}

/** An engine leaves the mount of the default network namespace behind; a killed one that of its data too. */
async function unmountLeftovers(folders: readonly string[]): Promise<void> {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  const paths = mounts.map((line) => line.split(' ')[1] ?? '');
  const ours = paths.filter((path) => folders.some((folder) => `${path}/`.startsWith(`${folder}/`)));
  for (const path of ours.reverse()) await tryRun('umount', [path]);
}

function forgetDeadUsers(users: string): void {
  for (const name of readdirSync(users)) {
    if (!isAlive(Number.parseInt(name, 10))) rmSync(join(users, name), { force: true });
  }
}

function tail(path: string): string {
  return readFileSync(path, 'utf8').trim().split('\n').slice(-10).join('\n');
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
}
