import { createServer, type IncomingMessage } from 'node:http';
import { denied, throttled } from './faults.js';
import type { LabHost } from './hosts/host.js';
import type { Lab } from './lab.js';
import type { Stack } from './stack.js';

/** The state of a running lab, as `lab status` prints it. */
export interface LabStatus {
  readonly name: string;
  readonly pid: number;
  readonly endpoint: string;
  readonly registry: string;
  readonly url: string;
  readonly targetGroup: string;
  readonly hosts: readonly {
    readonly id: string;
    readonly container: string;
    readonly address: string;
    readonly state: string;
    readonly agent: string;
  }[];
  readonly targets: readonly {
    readonly id: string;
    readonly port: number;
    readonly state: string;
    readonly reason?: string;
  }[];
  readonly env: { readonly [name: string]: string };
}

export const faultUsage = `lab fault KIND [ARGUMENT …]
  throttle SERVICE:OPERATION [TIMES]   the next calls are answered with ThrottlingException
  deny SERVICE:OPERATION [TIMES]       the next calls are answered with AccessDeniedException
  stop-instance HOST                   the instance is stopped
  start-instance HOST                  and started again
  hang-agent HOST                      the SSM agent takes nothing any more, and still looks Online
  resume-agent HOST
  vanish HOST                          the host leaves the network
  return HOST
  clear                                takes back throttle and deny
HOST is host1, host2, … or an instance id`;

/** A local door to a lab, for the command line; there from the lab's first moment on. */
export interface Control {
  /** The lab is up: from now on it tells its state and takes faults. */
  open(lab: Lab, stack: Stack): void;
  close(): Promise<void>;
}

/** Rejects where another lab has the socket. */
export async function startControl(socket: string, onDown: () => void): Promise<Control> {
  let up: { lab: Lab; stack: Stack } | undefined;
  const server = createServer(async (request, response) => {
    try {
      response.end(JSON.stringify(await handle(request, up, onDown)));
    } catch (error) {
      response.statusCode = 400;
      response.end(JSON.stringify({ error: (error as Error).message }));
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socket, resolve);
  });
  return {
    open: (lab, stack) => {
      up = { lab, stack };
    },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

async function handle(
  request: IncomingMessage,
  up: { lab: Lab; stack: Stack } | undefined,
  onDown: () => void,
): Promise<unknown> {
  if (request.url === '/down') {
    onDown();
    return { pid: process.pid };
  }
  if (!up) throw new Error('The lab is still starting.');
  switch (request.url) {
    case '/status':
      return status(up.lab, up.stack);
    case '/fault':
      return { done: await fault(up.lab, (await readJson(request)) as string[]) };
    default:
      throw new Error(`Unknown request ${request.url}.`);
  }
}

function status(lab: Lab, stack: Stack): LabStatus {
  return {
    name: lab.name,
    pid: process.pid,
    endpoint: lab.endpoint,
    registry: lab.registry,
    url: stack.url,
    targetGroup: stack.targetGroup,
    hosts: lab.hosts.map(({ id, container, address }) => ({
      ...{ id, container, address },
      state: lab.instances.get(id)?.state ?? 'unknown',
      agent: lab.hub.isOnline(id) ? 'Online' : 'ConnectionLost',
    })),
    targets: lab.loadBalancer.targetHealth(stack.targetGroup).map(({ id, port, State: state, Reason: reason }) => ({
      ...{ id, port, state },
      ...(reason === undefined ? {} : { reason }),
    })),
    env: lab.env,
  };
}

const MANY_TIMES = 1_000_000;

async function fault(lab: Lab, [kind, argument = '', times]: string[]): Promise<string> {
  const host = () => findHost(lab, argument);
  const count = times === undefined ? MANY_TIMES : Number(times);
  switch (kind) {
    case 'throttle':
      lab.faults.add(throttled(argument, count));
      return `${argument} is throttled`;
    case 'deny':
      lab.faults.add(denied(argument, count));
      return `${argument} is denied`;
    case 'clear':
      lab.faults.clear();
      return 'no API faults any more';
    case 'stop-instance':
      await stopInstance(lab, host());
      return `${host().id} is stopped`;
    case 'start-instance':
      await startInstance(lab, host());
      return `${host().id} is running`;
    case 'hang-agent':
      lab.hub.hang(host().id);
      return `the agent of ${host().id} hangs`;
    case 'resume-agent':
      lab.hub.unhang(host().id);
      return `the agent of ${host().id} works again`;
    case 'vanish':
      await vanish(lab, host());
      return `${host().id} has left the network`;
    case 'return':
      await filterPackets(lab, host(), '-D');
      return `${host().id} is back`;
    default:
      throw new Error(faultUsage);
  }
}

/** Every packet in and out, those of the host's containers included: the tables before and after all of Docker's rules. */
const DROP_ALL = [
  { table: 'raw', chain: 'PREROUTING', match: ['-i', 'eth0'] },
  { table: 'mangle', chain: 'POSTROUTING', match: ['-o', 'eth0'] },
];

/** Takes a host off the network. Gives back what returns it. */
export async function vanish(lab: Lab, host: LabHost): Promise<() => Promise<void>> {
  await filterPackets(lab, host, '-I');
  return () => filterPackets(lab, host, '-D');
}

/** Packets get lost, as on a real network: no side learns that the other is gone, connections just stay silent. */
async function filterPackets(lab: Lab, host: LabHost, change: '-I' | '-D'): Promise<void> {
  for (const { table, chain, match } of DROP_ALL) {
    const rule = [chain, ...match, '-j', 'DROP'];
    const isThere = await lab.docker.attempt(iptables(host, table, '-C', rule));
    if ((isThere.code === 0) === (change === '-I')) continue;
    await lab.docker(iptables(host, table, change, rule));
  }
}

function iptables({ container }: LabHost, table: string, change: string, rule: readonly string[]): string[] {
  return ['exec', container, 'iptables', '-w', '-t', table, change, ...rule];
}

/**
 * Nothing on a stopped instance runs: neither the host nor the containers in it, which have cgroups of their own. What it
 * had in memory is still there when it starts again, unlike on EC2.
 */
async function stopInstance(lab: Lab, host: LabHost): Promise<void> {
  if (lab.instances.get(host.id)?.state === 'stopped') return;
  await lab.exec(host, ['sh', '-c', 'docker ps -q | xargs -r docker pause']);
  await lab.docker(['pause', host.container]);
  lab.instances.setState(host.id, 'stopped');
}

async function startInstance(lab: Lab, host: LabHost): Promise<void> {
  if (lab.instances.get(host.id)?.state !== 'stopped') return;
  await lab.docker(['unpause', host.container]);
  await lab.exec(host, ['sh', '-c', 'docker ps -q --filter status=paused | xargs -r docker unpause']);
  lab.instances.setState(host.id, 'running');
}

function findHost(lab: Lab, name: string): LabHost {
  const found = lab.hosts.find((host) => host.id === name || host.container.endsWith(`-${name}`));
  if (!found)
    throw new Error(
      `There is no host '${name}'. There are: ${lab.hosts.map(({ id }, at) => `host${at + 1} (${id})`).join(', ')}.`,
    );
  return found;
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString());
}
