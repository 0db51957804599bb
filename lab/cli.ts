import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { faultUsage, type LabStatus } from './control.js';
import { isAlive, labHome } from './engine/home.js';
import { removeAbandoned } from './hosts/containers.js';

const usage = `npm run lab -- COMMAND
  up [--hosts N] [--speed N]   starts a local AWS with N hosts (default 1) and a load balancer; returns when it serves
  down                         ends it; nothing is left behind
  status                       what runs, and the health of the targets
  env                          environment for the AWS CLI, the SDK and docker: eval "$(npm run --silent lab -- env)"
  logs [HOST]                  what the lab says; with a host, what its agent and its Docker daemon say
  fault …                      makes something go wrong (lab fault, for the list)`;

/** The exit status of a command that Ctrl-C ended: 128 and the number of SIGINT. */
const INTERRUPTED = 130;
/** How long a lab may take to go down: its hosts have containers of their own to end. */
const DOWN_PATIENCE_MILLISECONDS = 120_000;

/** Its own folder for each lab that is to run beside another. */
const run = process.env.EC2_COMPOSE_DEPLOY_LAB_RUN ?? join(labHome(), 'run');
const socket = join(run, 'lab.sock');
const logFile = join(run, 'lab.log');

class NoLabError extends Error {
  override readonly name = 'NoLabError';

  constructor() {
    super('No lab is running. Start one with: npm run lab -- up --hosts 2');
  }
}

await main().catch((error: Error) => fail(error.message));

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { hosts: { type: 'string', default: '1' }, speed: { type: 'string', default: '1' } },
  });
  const [command, ...rest] = positionals;
  switch (command) {
    case 'up':
      return up(positive('hosts', values.hosts), positive('speed', values.speed));
    case 'down':
      return down();
    case 'status':
      return printStatus(await status());
    case 'env':
      return printEnvironment(await status());
    case 'logs':
      return logs(rest[0]);
    case 'fault':
      return fault(rest);
    default:
      console.error(usage);
      process.exitCode = 2;
  }
}

function positive(name: string, value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1) fail(`--${name} must be a whole number of at least 1, not '${value}'.`);
  return number;
}

/** Starts the lab in a process of its own and follows it until it serves. Ctrl-C ends that process, which cleans up. */
async function up(hosts: number, speed: number): Promise<void> {
  if (await isTaken()) fail('A lab is running already. End it with: npm run lab -- down');
  mkdirSync(run, { recursive: true });
  rmSync(socket, { force: true });
  const server = startServer(hosts, speed);
  const ready = await server.ready;
  if (ready && !server.wasInterrupted()) {
    await announce().catch((error: unknown) => {
      if (!server.wasInterrupted()) throw error;
    });
  }
  if (server.wasInterrupted()) return interrupted(server);
  if (!ready) fail(`The lab did not start.\n${readFileSync(logFile, 'utf8').trim()}`);
  process.exit(0);
}

async function announce(): Promise<void> {
  printStatus(await status());
  console.log('\nNext: eval "$(npm run --silent lab -- env)"   …and in the end: npm run lab -- down');
}

interface Server {
  /** False where it ended instead. */
  readonly ready: Promise<boolean>;
  readonly ended: Promise<void>;
  wasInterrupted(): boolean;
}

function startServer(hosts: number, speed: number): Server {
  const log = openSync(logFile, 'w');
  const script = join(dirname(fileURLToPath(import.meta.url)), 'server.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', script, String(hosts), String(speed), socket], {
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
  });
  let isInterrupted = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (!isInterrupted) console.error('Interrupted: taking away what was started …');
      isInterrupted = true;
      child.kill('SIGINT');
    });
  }
  const ended = new Promise<void>((resolve) => child.on('exit', () => resolve()));
  const isUp = new Promise<boolean>((resolve) => {
    child.on('message', (message) => {
      if (message === 'ready') resolve(true);
      else console.log(String(message));
    });
  });
  return { ready: Promise.race([isUp, ended.then(() => false)]), ended, wasInterrupted: () => isInterrupted };
}

async function interrupted({ ended }: Server): Promise<never> {
  await ended;
  console.error('The lab is down.');
  process.exit(INTERRUPTED);
}

async function down(): Promise<void> {
  if (!(await isTaken())) {
    rmSync(socket, { force: true });
    const removed = await removeAbandoned((line) => console.log(line));
    console.log(removed ? 'No lab is running. What one that died had left is gone.' : 'No lab is running.');
    return;
  }
  const { pid } = (await ask('/down')) as { pid: number };
  const deadline = Date.now() + DOWN_PATIENCE_MILLISECONDS;
  while (isAlive(pid)) {
    if (Date.now() > deadline) throw new Error(`The lab (process ${pid}) does not end; its log: ${logFile}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  console.log('The lab is down.');
}

async function fault(words: readonly string[]): Promise<void> {
  if (words.length === 0) return console.log(faultUsage);
  const { done } = (await ask('/fault', words)) as { done: string };
  console.log(done);
}

function printEnvironment({ env }: LabStatus): void {
  for (const [name, value] of Object.entries(env)) {
    console.log(`export ${name}='${value.replaceAll("'", `'\\''`)}'`);
  }
}

async function logs(host: string | undefined): Promise<void> {
  if (!host) {
    console.log(existsSync(logFile) ? readFileSync(logFile, 'utf8') : '');
    return;
  }
  const { hosts, env } = await status();
  const found = hosts.find((it) => it.id === host || it.container.endsWith(`-${host}`));
  if (!found) fail(`There is no host '${host}'.`);
  const files = ['/var/log/ssm-agent.log', '/var/log/dockerd.log'];
  const child = spawn('docker', ['exec', found.container, 'tail', '-n', '200', ...files], {
    env: { ...process.env, ...env },
    stdio: 'inherit',
  });
  await new Promise((resolve) => child.on('close', resolve));
}

/** Also a lab that is still starting has its place. */
function isTaken(): Promise<boolean> {
  return status().then(
    () => true,
    (error) => !(error instanceof NoLabError),
  );
}

async function status(): Promise<LabStatus> {
  return (await ask('/status')) as LabStatus;
}

function ask(path: string, body: unknown = {}): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath: socket, path, method: 'POST' }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on('end', () => {
        const answer = JSON.parse(text) as { error?: string };
        if (response.statusCode === 200) resolve(answer);
        else reject(new Error(answer.error));
      });
    });
    sent.on('error', () => reject(new NoLabError()));
    sent.end(JSON.stringify(body));
  });
}

function printStatus(lab: LabStatus): void {
  console.log(`${lab.name}: endpoint ${lab.endpoint}, registry ${lab.registry}, load balancer ${lab.url}`);
  for (const host of lab.hosts) {
    const targets = lab.targets.filter(({ id }) => id === host.id);
    const health = targets
      .map(({ port, state, reason }) => `:${port} ${state}${reason ? ` (${reason})` : ''}`)
      .join(', ');
    console.log(`  ${host.id}  ${host.address}  ${host.state}  agent ${host.agent}  ${health}`);
  }
}

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}
