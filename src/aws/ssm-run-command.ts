import {
  CancelCommandCommand,
  type CommandInvocation,
  DescribeInstanceInformationCommand,
  GetCommandInvocationCommand,
  type GetCommandInvocationCommandOutput,
  type InstanceInformation,
  ListCommandInvocationsCommand,
  SendCommandCommand,
  type SSMClient,
} from '@aws-sdk/client-ssm';
import type { Clock } from '../clock.js';
import { problem } from '../problem.js';
import { isTransient, toProblems, wireCode } from './errors.js';
import type { HostCommand, HostResult, ManagedHost, RunCommand } from './run-command.js';
import { hasEnded, type Invocation, isEnough, isWaiting, toInvocation, toResult, unreached } from './ssm-invocation.js';

/** SendCommand, ListCommandInvocations and the filter of DescribeInstanceInformation take so many ids at once. */
const CHUNK = 50;
/** SSM's own time for an agent to take a command; an agent that systemd restarts is back after 90 s. */
const DELIVERY_SECONDS = 120;
/** What may pass between the end of a script's time and SSM saying so: a kill, a reply, a poll (our choice). */
const GRACE_SECONDS = 30;
/** SSM publishes no quota for polling; one call for 50 hosts every 2 s was never seen to be too much. */
const POLL_SECONDS = 2;
/** Most commands end within a second: the first look comes after this share of the interval, later ones grow up to it. */
const FIRST_POLL = 0.25;
const POLL_GROWTH = 1.5;
const SLOWEST_POLL_SECONDS = 16;
/** Besides the SDK's own attempts, of a call that is throttled or gets no answer. */
const ATTEMPTS = 5;
/** GetCommandInvocation calls at a time. */
const READERS = 5;

export interface RunCommandOptions {
  readonly client: SSMClient;
  /** A document that takes `commands` and `executionTimeout` as AWS-RunShellScript does. */
  readonly document?: string;
  readonly clock: Clock;
  readonly pollSeconds?: number;
}

/**
 * Scripts over SSM Run Command. Throws ProblemsErrors: SSM_DOCUMENT_INVALID, and those of `toProblems`. Hosts that SSM
 * refuses to send to end as `Undeliverable`, `NotManaged`; the SDK's retry of a SendCommand may run a script twice.
 */
export function createRunCommand(options: RunCommandOptions): RunCommand {
  const world = { document: 'AWS-RunShellScript', pollSeconds: POLL_SECONDS, ...options };
  return {
    run: (command) => run(world, command),
    managed: async (hosts) => {
      const chunks = chunksOf([...new Set(hosts)]);
      return (await Promise.all(chunks.map((chunk) => describeHosts(world, chunk)))).flat();
    },
  };
}

type Wiring = Required<RunCommandOptions>;

async function run(world: Wiring, command: HostCommand): Promise<HostResult[]> {
  const { signal } = command;
  signal?.throwIfAborted();
  // The first failure of one part ends the others, so that nothing runs on unwatched.
  const stop = new AbortController();
  const whole = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const parts = await Promise.allSettled(
    chunksOf([...new Set(command.hosts)]).map((hosts) =>
      runChunk(world, { ...command, hosts, signal: whole }).catch((error: unknown) => {
        stop.abort(error);
        throw error;
      }),
    ),
  );
  signal?.throwIfAborted();
  if (stop.signal.aborted) throw stop.signal.reason;
  const results = new Map(
    parts.flatMap((part) => (part.status === 'fulfilled' ? part.value : [])).map((result) => [result.instance, result]),
  );
  return command.hosts.map((instance) => results.get(instance) ?? unreached(instance, 'NoAnswer'));
}

type Part = HostCommand & { readonly signal: AbortSignal };

async function runChunk(world: Wiring, part: Part): Promise<HostResult[]> {
  const { sent, refused } = await send(world, part);
  const followed = await Promise.all(sent.map((command) => follow(world, part, command)));
  return [...followed.flat(), ...refused.map((instance) => unreached(instance, 'NotManaged'))];
}

interface Command {
  readonly id: string;
  readonly hosts: readonly string[];
}

interface Sent {
  readonly sent: readonly Command[];
  readonly refused: readonly string[];
}

/** SendCommand refuses all hosts for the sake of one that it does not manage, without naming it. */
async function send(world: Wiring, part: Part): Promise<Sent> {
  try {
    return { sent: [{ id: await sendOnce(world, part), hosts: part.hosts }], refused: [] };
  } catch (error) {
    if (wireCode(error) !== 'InvalidInstanceId') throw sendFailure(error, world.document);
  }
  if (part.hosts.length === 1) return { sent: [], refused: part.hosts };
  const managed = new Set((await describeHosts(world, part.hosts)).map(({ instance }) => instance));
  const known = part.hosts.filter((host) => managed.has(host));
  const refused = part.hosts.filter((host) => !managed.has(host));
  const groups = refused.length > 0 ? [known] : known.map((host) => [host]);
  const parts = await Promise.all(
    groups.filter((hosts) => hosts.length > 0).map((hosts) => send(world, { ...part, hosts })),
  );
  return {
    sent: parts.flatMap(({ sent }) => sent),
    refused: [...refused, ...parts.flatMap((other) => other.refused)],
  };
}

async function sendOnce(world: Wiring, part: Part): Promise<string> {
  const request = new SendCommandCommand({
    DocumentName: world.document,
    InstanceIds: [...part.hosts],
    Comment: part.comment.slice(0, 100),
    TimeoutSeconds: DELIVERY_SECONDS,
    // One host's failure must not keep the command from the others.
    MaxConcurrency: '100%',
    MaxErrors: '100%',
    Parameters: { commands: [part.script], executionTimeout: [String(part.executionTimeoutSeconds)] },
  });
  const { Command } = await retrying(world, part.signal, () => world.client.send(request));
  if (!Command?.CommandId) throw problem('AWS_REQUEST_FAILED', 'SendCommand gave no command id.');
  return Command.CommandId;
}

function sendFailure(error: unknown, document: string): Error {
  const refusals = ['InvalidDocument', 'InvalidDocumentVersion', 'InvalidParameters', 'UnsupportedPlatformType'];
  if (!refusals.includes(wireCode(error))) return toProblems(error, 'ssm:SendCommand');
  return problem(
    'SSM_DOCUMENT_INVALID',
    `The SSM document ${document} cannot run the deploy's commands (${wireCode(error)}).`,
    {
      cause: (error as Error).message,
      fix: 'Check the input ssm-document; the document has to take commands and executionTimeout as AWS-RunShellScript does.',
    },
    { cause: error },
  );
}

/** Polls until each host has ended or is given up; cancels what still runs when it can't go on. */
async function follow(world: Wiring, part: Part, command: Command): Promise<HostResult[]> {
  const sentAt = world.clock.now();
  const seen = new Map<string, Invocation>();
  const silent = new Set<string>();
  const isOpen = (host: string) => !silent.has(host) && !isOver(seen.get(host));
  const open = () => command.hosts.filter(isOpen);
  try {
    for (let wait = world.pollSeconds * FIRST_POLL; open().length > 0; ) {
      await world.clock.sleep(wait * 1000, part.signal);
      const found = await list(world, command.id);
      wait = found ? Math.min(wait * POLL_GROWTH, world.pollSeconds) : nextAfterFailure(wait, world.pollSeconds);
      for (const invocation of found ?? []) seen.set(invocation.instance, invocation);
      const seconds = (world.clock.now() - sentAt) / 1000;
      const late = open().filter((host) => seconds > patienceSeconds(seen.get(host), part));
      if (late.length > 0) await cancel(world, command.id, late);
      for (const host of late) silent.add(host);
    }
  } catch (error) {
    await cancel(world, command.id, open());
    throw error;
  }
  const over = [...seen.values()].filter((invocation) => isOver(invocation));
  return [...(await readAll(world, command.id, over)), ...[...silent].map((host) => unreached(host, 'NoAnswer'))];
}

function nextAfterFailure(wait: number, pollSeconds: number): number {
  return Math.min(Math.max(wait, pollSeconds) * 2, SLOWEST_POLL_SECONDS);
}

function isOver(invocation: Invocation | undefined): boolean {
  return invocation !== undefined && hasEnded(invocation);
}

function patienceSeconds(invocation: Invocation | undefined, { executionTimeoutSeconds }: Part): number {
  const running = isWaiting(invocation) ? 0 : executionTimeoutSeconds;
  return DELIVERY_SECONDS + running + GRACE_SECONDS;
}

/** The invocations of a command; none at all for a while after it was sent. Undefined where SSM had no answer. */
async function list(world: Wiring, id: string): Promise<Invocation[] | undefined> {
  const found: CommandInvocation[] = [];
  let token: string | undefined;
  try {
    do {
      const page = await world.client.send(
        new ListCommandInvocationsCommand({ CommandId: id, Details: true, MaxResults: CHUNK, NextToken: token }),
      );
      found.push(...(page.CommandInvocations ?? []));
      token = page.NextToken || undefined;
    } while (token);
  } catch (error) {
    if (isTransient(error) || wireCode(error) === 'InvalidCommandId') return undefined;
    throw toProblems(error, 'ssm:ListCommandInvocations');
  }
  return found.map(toInvocation);
}

async function readAll(world: Wiring, id: string, invocations: readonly Invocation[]): Promise<HostResult[]> {
  const results: HostResult[] = [];
  for (const some of chunksOf(invocations, READERS)) {
    results.push(...(await Promise.all(some.map((invocation) => read(world, id, invocation)))));
  }
  return results;
}

async function read(world: Wiring, id: string, invocation: Invocation): Promise<HostResult> {
  return toResult(invocation, isEnough(invocation) ? undefined : await whole(world, id, invocation.instance));
}

/** The streams of one host; what the list has must do where SSM does not give them. */
async function whole(world: Wiring, id: string, host: string): Promise<GetCommandInvocationCommandOutput | undefined> {
  const request = new GetCommandInvocationCommand({ CommandId: id, InstanceId: host });
  try {
    return await retrying(world, undefined, () => world.client.send(request));
  } catch (error) {
    if (isTransient(error) || wireCode(error) === 'InvocationDoesNotExist') return undefined;
    throw toProblems(error, 'ssm:GetCommandInvocation');
  }
}

/** Best effort: AWS itself gives no guarantee that a command is cancelled. */
async function cancel(world: Wiring, id: string, hosts: readonly string[]): Promise<void> {
  if (hosts.length === 0) return;
  const request = new CancelCommandCommand({ CommandId: id, InstanceIds: [...hosts] });
  await world.client.send(request).catch(() => undefined);
}

/** An id that SSM never heard of can be an error of the whole call: it is then found by halving. */
async function describeHosts(world: Wiring, hosts: readonly string[]): Promise<ManagedHost[]> {
  const found: InstanceInformation[] = [];
  let token: string | undefined;
  try {
    do {
      const request = new DescribeInstanceInformationCommand({
        Filters: [{ Key: 'InstanceIds', Values: [...hosts] }],
        MaxResults: CHUNK,
        NextToken: token,
      });
      const page = await retrying(world, undefined, () => world.client.send(request));
      found.push(...(page.InstanceInformationList ?? []));
      token = page.NextToken || undefined;
    } while (token);
  } catch (error) {
    if (!['InvalidInstanceId', 'InvalidInstanceInformationFilterValue'].includes(wireCode(error))) {
      throw toProblems(error, 'ssm:DescribeInstanceInformation');
    }
    if (hosts.length === 1) return [];
    const halves = chunksOf(hosts, Math.ceil(hosts.length / 2));
    return (await Promise.all(halves.map((half) => describeHosts(world, half)))).flat();
  }
  return found.map(toManagedHost);
}

function toManagedHost(raw: InstanceInformation): ManagedHost {
  return {
    instance: raw.InstanceId ?? '',
    ping: raw.PingStatus ?? '',
    platform: [raw.PlatformName, raw.PlatformVersion].filter(Boolean).join(' '),
    agentVersion: raw.AgentVersion ?? '',
  };
}

async function retrying<T>(world: Wiring, signal: AbortSignal | undefined, call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (attempt === ATTEMPTS || !isTransient(error)) throw error;
      await world.clock.sleep(Math.min(2 ** attempt, SLOWEST_POLL_SECONDS) * 1000, signal);
    }
  }
}

function chunksOf<T>(items: readonly T[], size = CHUNK): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, at) => items.slice(at * size, (at + 1) * size));
}
