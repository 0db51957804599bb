import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Hub, startAgentHub } from '../../lab/agent/hub.js';
import { type Docker, dockerWith } from '../../lab/engine/docker.js';
import { PRIVILEGES } from '../../lab/hosts/host.js';
import { type LabClock, realClock } from '../../lab/model/clock.js';
import { Instances } from '../../lab/model/instances.js';

/** A host in a container, its agent connected to a hub in this process. */
export interface TestHost {
  readonly instanceId: string;
  readonly hub: Hub;
  readonly instances: Instances;
  readonly clock: LabClock;
  /** Runs a program on the host and gives back its stdout. */
  exec(args: readonly string[], input?: string): Promise<string>;
  /** What /bin/sh is from now on. */
  useShell(shell: 'dash' | 'bash'): Promise<void>;
  /** Ends the agent with SIGTERM, and starts it again. */
  restartAgent(): Promise<void>;
  /** Takes the host off the network, and puts it back. */
  disconnect(): Promise<void>;
  reconnect(): Promise<void>;
  stop(): Promise<void>;
}

export interface TestHostOptions {
  readonly parameters?: { readonly [name: string]: string };
  /** How long the agent plays dead when a script asks for a reboot. */
  readonly rebootSeconds?: number;
}

const INSTANCE = 'i-0123456789abcdef0';
const REGION = 'us-east-1';
const ACCOUNT = '123456789012';
const AGENT_FOLDER = '/usr/local/lib/lab';
const AGENT_SOURCES = fileURLToPath(new URL('../../lab/agent', import.meta.url));
const HOUR_MILLISECONDS = 3_600_000;

/** A shell as first process, so that orphans of scripts are waited for as on a real host. */
const FIRST_PROCESS = ['bash', '-c', 'trap "exit 0" TERM; sleep infinity & wait'];

export async function startTestHost(options: TestHostOptions = {}): Promise<TestHost> {
  const docker = dockerWith({});
  const name = `run-command-host-${process.pid}-${randomBytes(3).toString('hex')}`;
  const image = process.env.LAB_HOST_IMAGE;
  if (!image) throw new Error('There is no host image. Run it with: npm test -- test/agent');
  try {
    await runPrivileged(docker, name, image);
    return await connect(docker, name, options);
  } catch (error) {
    await docker.attempt(['rm', '-f', '-v', name]);
    throw error;
  }
}

async function runPrivileged(docker: Docker, name: string, image: string): Promise<void> {
  let refusal = '';
  for (const privileges of PRIVILEGES) {
    const started = await docker.attempt(['run', '-d', ...privileges, '--name', name, image, ...FIRST_PROCESS]);
    if (started.code === 0) return;
    refusal = started.stderr;
    await docker.attempt(['rm', '-f', '-v', name]);
  }
  throw new Error(refusal);
}

async function connect(docker: Docker, name: string, options: TestHostOptions): Promise<TestHost> {
  const inspect = async (field: string) =>
    (await docker(['inspect', '-f', `{{range .NetworkSettings.Networks}}{{.${field}}}{{end}}`, name])).trim();
  const gateway = await inspect('Gateway');
  const clock = realClock();
  const instances = new Instances();
  instances.add(instanceAt(await inspect('IPAddress')));
  const known = options.parameters ?? {};
  const hub = await startAgentHub({
    clock,
    hosts: [gateway],
    instances,
    credentials: roleCredentials,
    parameters: async () => known,
  });
  const exec = (args: readonly string[], input?: string) =>
    docker(['exec', ...(input === undefined ? [] : ['-i']), name, ...args], input === undefined ? {} : { input });
  await docker(['exec', name, 'mkdir', '-p', AGENT_FOLDER]);
  for (const file of readdirSync(AGENT_SOURCES).filter((entry) => entry.endsWith('.py'))) {
    await docker(['cp', join(AGENT_SOURCES, file), `${name}:${AGENT_FOLDER}/${file}`]);
  }
  const token = hub.register(INSTANCE);
  const agent = ['python3', `${AGENT_FOLDER}/agent.py`, '--server', `http://${gateway}:${hub.port}`]
    .concat(['--instance', INSTANCE, '--token', token, '--region', REGION, '--account', ACCOUNT])
    .concat(['--reboot-seconds', String(options.rebootSeconds ?? 2)]);
  const startAgent = async () => {
    const registered = nextRegistration(hub);
    await docker(['exec', '-d', name, 'sh', '-c', `exec ${agent.join(' ')} >>/var/log/ssm-agent.log 2>&1`]);
    await registered;
  };
  await startAgent();
  return {
    instanceId: INSTANCE,
    hub,
    instances,
    clock,
    exec,
    useShell: async (shell) => void (await exec(['ln', '-sf', shell, '/bin/sh'])),
    restartAgent: async () => {
      await exec(['pkill', '-TERM', '-f', `^python3 ${AGENT_FOLDER}/agent.py`]);
      await startAgent();
    },
    disconnect: async () => void (await docker(['network', 'disconnect', 'bridge', name])),
    reconnect: async () => void (await docker(['network', 'connect', 'bridge', name])),
    stop: async () => {
      await hub.close();
      await docker.attempt(['rm', '-f', '-v', name]);
    },
  };
}

function nextRegistration(hub: Hub): Promise<void> {
  return new Promise((resolve) => {
    const stop = hub.onEvent(({ kind }) => {
      if (kind !== 'registered') return;
      stop();
      resolve();
    });
  });
}

export function roleCredentials() {
  return {
    role: 'lab-host',
    accessKeyId: 'ASIALABHOST000000001',
    secretAccessKey: 'a secret of the lab',
    sessionToken: 'a session of the lab',
    expiresAt: Date.now() + HOUR_MILLISECONDS,
  };
}

export function instanceAt(privateIp: string, id = INSTANCE) {
  return {
    id,
    name: 'host-1',
    privateIp,
    zone: `${REGION}b`,
    subnet: 'subnet-00000000000000001',
    vpc: 'vpc-00000000000000001',
    securityGroups: [],
    type: 't3.small',
    architecture: 'x86_64',
    image: 'ami-00000000000000001',
    launchedAt: Date.now(),
    tags: { role: 'web' } as { readonly [key: string]: string },
    state: 'running' as const,
  };
}
