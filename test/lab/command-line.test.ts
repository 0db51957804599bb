import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { isAlive } from '../../lab/engine/home.js';
import { root } from '../../scripts/metadata.js';

const MILLISECONDS = 120_000;
const LOOK_MILLISECONDS = 100;

/** A place of its own: other labs run on the same machine meanwhile. */
const place = mkdtempSync(join(tmpdir(), 'lab-run-'));
const env = { ...process.env, EC2_COMPOSE_DEPLOY_LAB_RUN: place };
const OWNER = 'ec2-compose-deploy.lab';
const NO_LAB = 'No lab is running. Start one with: npm run lab -- up --hosts 2\n';

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function start(args: readonly string[]): {
  child: ChildProcess;
  said(text: string): Promise<void>;
  ended: Promise<Ended>;
} {
  const child = spawn(process.execPath, ['--import', 'tsx', 'lab/cli.ts', ...args], { cwd: root, env });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString();
  });
  const ended = new Promise<Ended>((resolve) => child.on('close', (code) => resolve({ code: code ?? -1, out, err })));
  const said = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => out.includes(text) && resolve();
      child.stdout.on('data', look);
      child.on('close', () => reject(new Error(`It ended without saying '${text}':\n${out}${err}`)));
      look();
    });
  return { child, said, ended };
}

const lab = (...args: string[]): Promise<Ended> => start(args).ended;

/** The words of a user in a shell that has read `lab env`. */
function inShell(script: string): Ended {
  const given = `eval "$(npm run --silent lab -- env)"\n${script}`;
  const { status, stdout, stderr } = spawnSync('bash', ['-ec', given], { cwd: root, env, encoding: 'utf8' });
  return { code: status ?? -1, out: stdout, err: stderr };
}

function docker(...args: string[]): string[] {
  const { stdout } = spawnSync('docker', args, { encoding: 'utf8' });
  return stdout.split('\n').filter(Boolean);
}

interface Running {
  readonly name: string;
  readonly pid: number;
  readonly host: string;
  readonly id: string;
  /** The network's bridge on this machine, and where the host's files are mounted. */
  readonly bridge: string;
  readonly files: string;
}

async function running(): Promise<Running> {
  const { out } = await lab('status');
  const [, name = ''] = /^(\S+): endpoint/.exec(out) ?? [];
  const [, id = ''] = /(i-[0-9a-f]{17})/.exec(out) ?? [];
  const host = `${name}-host1`;
  const [owner = ''] = docker('inspect', '-f', `{{index .Config.Labels "${OWNER}"}}`, host);
  const [files = ''] = docker('inspect', '-f', '{{.GraphDriver.Data.MergedDir}}', host);
  const [network = ''] = docker('network', 'inspect', '-f', '{{.Id}}', name);
  return { name, pid: Number(owner), host, id, files, bridge: `br-${network.slice(0, 12)}` };
}

const KINDS_OF_TRACES = ['process', 'socket', 'containers', 'network', 'bridge', 'rules', 'mount'] as const;

/** Which kinds of things the machine and the engine have of a lab. */
function tracesOf({ name, pid, bridge, files }: Running): string[] {
  const found: { readonly [K in (typeof KINDS_OF_TRACES)[number]]: boolean } = {
    process: isAlive(pid),
    socket: existsSync(join(place, 'lab.sock')),
    containers: docker('ps', '-a', '--filter', `label=${OWNER}=${pid}`, '-q').length > 0,
    network: docker('network', 'ls', '--filter', `name=${name}`, '-q').length > 0,
    bridge: existsSync(`/sys/class/net/${bridge}`),
    rules: spawnSync('iptables-save', { encoding: 'utf8' }).stdout.includes(bridge),
    mount: readFileSync('/proc/self/mounts', 'utf8').includes(` ${files} `),
  };
  return KINDS_OF_TRACES.filter((kind) => found[kind]);
}

/** Whatever has no living owner, of any lab: this machine may run others meanwhile. */
function orphans(): string[] {
  const format = `{{.ID}} {{.Label "${OWNER}"}}`;
  const containers = docker('ps', '-a', '--filter', `label=${OWNER}`, '--format', format);
  const networks = docker('network', 'ls', '--filter', `label=${OWNER}`, '--format', format);
  return [...containers, ...networks].filter((line) => !isAlive(Number(line.split(' ')[1])));
}

/** Processes of this file's labs, known by the socket that is among their arguments. */
function servers(): string[] {
  const { stdout } = spawnSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' });
  return stdout.split('\n').filter((line) => line.includes(join(place, 'lab.sock')));
}

async function untilStatus(pattern: RegExp): Promise<string> {
  for (;;) {
    const { out, err, code } = await lab('status');
    if (code !== 0) throw new Error(err);
    if (pattern.test(out)) return out;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
  }
}

afterEach(() => lab('down'), MILLISECONDS);
afterAll(() => rmSync(place, { recursive: true, force: true }));

describe('the lab by hand', () => {
  test('without a lab each command says how to start one, and down has nothing to do', async () => {
    expect(await lab('status')).toEqual({ code: 1, out: '', err: NO_LAB });
    expect(await lab('env')).toEqual({ code: 1, out: '', err: NO_LAB });
    expect((await lab('down')).code).toBe(0);
    expect(await lab('up', '--hosts', 'many')).toMatchObject({
      code: 1,
      err: "--hosts must be a whole number of at least 1, not 'many'.\n",
    });
    expect(await lab('upp')).toMatchObject({ code: 2, err: expect.stringContaining('up [--hosts N]') });
  });

  test(
    'from up to down: the tools of a user reach it, faults come and go, and nothing is left',
    async () => {
      const up = await lab('up', '--hosts', '1', '--speed', '5');
      expect(up).toMatchObject({ code: 0, out: expect.stringMatching(/Next: eval/) });
      const it = await running();
      expect(tracesOf(it)).toEqual([...KINDS_OF_TRACES]);
      expect(await lab('up')).toEqual({
        code: 1,
        out: '',
        err: 'A lab is running already. End it with: npm run lab -- down\n',
      });

      const names = `import { ECRClient, DescribeRepositoriesCommand } from '@aws-sdk/client-ecr';
        const { repositories } = await new ECRClient({}).send(new DescribeRepositoriesCommand({}));
        console.log(repositories.map((it) => it.repositoryName).join());`;
      expect(inShell(`node --input-type=module -e "${names}"`)).toMatchObject({ code: 0, out: 'shop\n' });
      expect(inShell(`docker inspect -f '{{.State.Status}}' ${it.host}`)).toMatchObject({ out: 'running\n' });
      expect((await lab('logs', 'host1')).out).toContain('API listen on /var/run/docker.sock');
      expect((await lab('logs')).out).toContain('Starting 1 host');
      expect(await lab('logs', 'host9')).toMatchObject({ code: 1, err: "There is no host 'host9'.\n" });

      const site = 'mkdir -p /tmp/site && echo ok >/tmp/site/health && exec python3 -m http.server 8080 -d /tmp/site';
      docker('exec', '-d', it.host, 'sh', '-c', site);
      await untilStatus(/:8080 healthy/);
      for (const fault of ['vanish', 'vanish']) expect((await lab('fault', fault, 'host1')).code).toBe(0);
      await untilStatus(/:8080 unhealthy \(Target\.Timeout\)/);
      expect((await lab('fault', 'return', it.id)).code).toBe(0);
      await untilStatus(/:8080 healthy/);
      expect((await lab('fault', 'stop-instance', 'host1')).code).toBe(0);
      expect(await untilStatus(/:8080 unused \(Target\.InvalidState\)/)).toContain(' stopped ');
      expect((await lab('fault', 'start-instance', 'host1')).code).toBe(0);
      expect(await untilStatus(/:8080 healthy/)).toContain(' running ');

      expect((await lab('fault')).out).toContain('hang-agent HOST');
      expect(await lab('fault', 'sabotage')).toMatchObject({
        code: 1,
        err: expect.stringContaining('hang-agent HOST'),
      });
      expect((await lab('fault', 'vanish', 'host2')).err).toBe(
        `There is no host 'host2'. There are: host1 (${it.id}).\n`,
      );

      expect((await lab('down')).out).toBe('The lab is down.\n');
      expect(tracesOf(it)).toEqual([]);
      expect(servers()).toEqual([]);
      expect(await lab('status')).toMatchObject({ code: 1, err: NO_LAB });
    },
    MILLISECONDS,
  );

  test(
    'an agent that hangs takes no command until it is told to go on, and a throttled call is refused as often as said',
    async () => {
      await lab('up', '--speed', '5');
      const it = await running();
      expect((await lab('fault', 'throttle', 'ssm:ListCommands', '1')).out).toBe('ssm:ListCommands is throttled\n');
      const call = (script: string) =>
        inShell(`node --input-type=module -e "import * as ssm from '@aws-sdk/client-ssm';
          const client = new ssm.SSMClient({ maxAttempts: 1 }); const id = '${it.id}'; ${script}"`);
      const listCommands =
        "console.log((await client.send(new ssm.ListCommandsCommand({})).catch((e) => e)).name ?? 'ok')";
      expect(call(listCommands).out).toBe('ThrottlingException\n');
      expect(call(listCommands).out).toBe('ok\n');

      expect((await lab('fault', 'hang-agent', 'host1')).code).toBe(0);
      const send = `const { Command } = await client.send(new ssm.SendCommandCommand({ InstanceIds: [id],
          DocumentName: 'AWS-RunShellScript', Parameters: { commands: ['echo done'] } }));
        console.log(Command.CommandId)`;
      const command = call(send).out.trim();
      const wait = (seconds: number) =>
        call(`const of = { CommandId: '${command}', InstanceId: id };
          const patience = { client, maxWaitTime: ${seconds}, minDelay: 1, maxDelay: 1 };
          const { name, state } = await ssm.waitUntilCommandExecuted(patience, of).catch((error) => error);
          console.log(state ?? name)`).out;
      expect(wait(3)).toBe('TimeoutError\n');
      expect((await lab('status')).out).toContain('agent Online');
      expect((await lab('fault', 'resume-agent', 'host1')).code).toBe(0);
      expect(wait(20)).toBe('SUCCESS\n');
    },
    MILLISECONDS,
  );
});

describe('a lab that does not end by down', () => {
  test.each([
    ['while its hosts start', 'Starting 1 host'],
    ['as soon as it is up', 'endpoint http'],
  ])(
    'Ctrl-C %s leaves nothing behind',
    async (_when, words) => {
      const { child, said, ended } = start(['up', '--hosts', '1']);
      await said(words);
      expect(servers()).toHaveLength(1);
      child.kill('SIGINT');
      const { code } = await ended;
      // Once it has said its last word it has returned, and the lab is up: that is what down is for.
      if (code === 0) await lab('down');
      else expect(code).toBe(130);
      expect(await lab('status')).toMatchObject({ code: 1, err: NO_LAB });
      expect(servers()).toEqual([]);
      expect(orphans()).toEqual([]);
    },
    MILLISECONDS,
  );

  test(
    'one that still starts refuses a second one, and can be taken down',
    async () => {
      const { said, ended } = start(['up', '--hosts', '1']);
      await said('Starting 1 host');
      expect(await lab('status')).toMatchObject({ code: 1, err: 'The lab is still starting.\n' });
      expect(await lab('up')).toMatchObject({ code: 1, err: expect.stringContaining('running already') });
      expect(await lab('down')).toMatchObject({ code: 0, out: 'The lab is down.\n' });
      expect(await ended).toMatchObject({ code: 1, err: expect.stringContaining('was ended before it was up') });
      expect(orphans()).toEqual([]);
    },
    MILLISECONDS,
  );

  test(
    'what a killed one has left is taken away by the next one, and by down',
    async () => {
      for (const next of [['up', '--hosts', '1'], ['down']]) {
        await lab('up', '--hosts', '1');
        const killed = await running();
        process.kill(killed.pid, 'SIGKILL');
        while (isAlive(killed.pid)) await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
        expect(tracesOf(killed)).toEqual(KINDS_OF_TRACES.filter((kind) => kind !== 'process'));
        expect(await lab('status')).toMatchObject({ code: 1, err: NO_LAB });
        expect((await lab(...next)).code).toBe(0);
        expect(tracesOf(killed).filter((kind) => kind !== 'socket')).toEqual([]);
        await lab('down');
      }
    },
    MILLISECONDS,
  );
});
