import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * Where the lab keeps what is worth keeping between runs: the engine's programs, its images, the mirror. It can be deleted
 * whole at any time when no lab runs.
 */
export function labHome(): string {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const home = process.env.EC2_COMPOSE_DEPLOY_LAB ?? join(cache, 'ec2-compose-deploy');
  mkdirSync(home, { recursive: true });
  return home;
}

/** A process that has ended and that nobody has waited for yet is not alive. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')')).startsWith(') Z');
  } catch {
    return false;
  }
}

/** How long another process may hold a lock before it counts as an error: the first start downloads and builds. */
const LOCK_PATIENCE_MILLISECONDS = 10 * 60_000;
const LOCK_LOOK_MILLISECONDS = 200;

/** Does `work` while no other process holds the lock `name`. A lock whose holder has died is taken over. */
export async function withLock<T>(name: string, work: () => Promise<T>): Promise<T> {
  const path = join(labHome(), `${name}.lock`);
  const deadline = Date.now() + LOCK_PATIENCE_MILLISECONDS;
  while (!tryLock(path)) {
    if (Date.now() > deadline) throw new Error(`Another process holds ${path} for too long.`);
    await new Promise((resolve) => setTimeout(resolve, LOCK_LOOK_MILLISECONDS));
  }
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
  }
}

function tryLock(path: string): boolean {
  try {
    writeFileSync(path, String(process.pid), { flag: 'wx' });
    return true;
  } catch {
    const holder = readPid(path);
    if (holder === undefined ? isForgotten(path) : !isAlive(holder)) rmSync(path, { force: true });
    return false;
  }
}

/** A lock is created and filled in one go; one that stays empty belongs to a process that was killed in between. */
const EMPTY_LOCK_MILLISECONDS = 5_000;

function isForgotten(path: string): boolean {
  const written = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  return written !== undefined && Date.now() - written > EMPTY_LOCK_MILLISECONDS;
}

export function readPid(path: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(path, 'utf8'), 10);
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}
