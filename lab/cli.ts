import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { faultUsage, type LabStatus } from './control.js';
import { isAlive, labHome } from './engine/home.js';

const usage = `npm run lab -- COMMAND
  up [--hosts N] [--speed N]   starts a local AWS with N hosts (default 1) and a load balancer; returns when it serves
  down                         ends it; nothing is left behind
  status                       what runs, and the health of the targets
  env                          environment for the AWS CLI, the SDK and docker: eval "$(npm run --silent lab -- env)"
  logs [HOST]                  what the lab says; with a host, what its agent and its Docker daemon say
  fault …                      makes something go wrong (lab fault, for the list)`;

const run = join(labHome(), 'run');
const socket = join(run, 'lab.sock');
const logFile = join(run, 'lab.log');

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { hosts: { type: 'string', default: '1' }, speed: { type: 'string', default: '1' } },
});
const [command, ...rest] = positionals;

switch (command) {
  case 'up':
    await up(positive('hosts', values.hosts), positive('speed', values.speed));
    break;
  case 'down':
    await down();
    break;
  case 'status':
    printStatus(await status());
    break;
  case 'env':
    for (const [name, value] of Object.entries((await status()).env)) console.log(`export ${name}='${value}'`);
    break;
  case 'logs':
    await logs(rest[0]);
    break;
  case 'fault':
    if (rest.length === 0) console.log(faultUsage);
    else console.log(((await ask('/fault', rest)) as { done: string }).done);
    break;
  default:
    console.error(usage);
    process.exitCode = 2;
}

function positive(name: string, value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1) fail(`--${name} must be a whole number of at least 1, not '${value}'.`);
  return number;
}

/** Starts the lab in a process of its own and follows it until it serves. Ctrl-C ends that process, which cleans up. */
async function up(hosts: number, speed: number): Promise<void> {
  if (await answers()) fail('A lab is running already. End it with: npm run lab -- down');
  mkdirSync(run, { recursive: true });
  rmSync(socket, { force: true });
  const log = openSync(logFile, 'w');
  const server = join(dirname(fileURLToPath(import.meta.url)), 'server.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', server, String(hosts), String(speed), socket], {
    detached: true,
    stdio: ['ignore', 'pipe', log, 'ipc'],
  });
  const interrupt = () => child.kill('SIGINT');
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  const ready = await new Promise<boolean>((resolve) => {
    child.on('message', (message) => {
      if (message === 'ready') resolve(true);
      else console.log(String(message));
    });
    child.on('exit', () => resolve(false));
  });
  if (!ready) fail(`The lab did not start.\n${readFileSync(logFile, 'utf8').trim()}`);
  printStatus(await status());
  console.log('\nNext: eval "$(npm run --silent lab -- env)"   …and in the end: npm run lab -- down');
  process.exit(0);
}

async function down(): Promise<void> {
  if (!(await answers())) {
    console.log('No lab is running.');
    return;
  }
  const { pid } = await status();
  await ask('/down');
  while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 100));
  console.log('The lab is down.');
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

async function answers(): Promise<boolean> {
  return status().then(
    () => true,
    () => false,
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
    sent.on('error', () => reject(new Error('No lab is running. Start one with: npm run lab -- up --hosts 2')));
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
