import type { CommandInvocation, GetCommandInvocationCommandOutput } from '@aws-sdk/client-ssm';
import type { HostResult } from './run-command.js';

/** A command on one host as ListCommandInvocations tells it, in words without spaces. */
export interface Invocation {
  readonly instance: string;
  readonly status: string;
  readonly details: string;
  readonly exitCode: number;
  /** stdout and stderr in one, at most 2,500 bytes. */
  readonly output: string;
  readonly startedAt?: number;
  readonly endedAt?: number;
}

export function toInvocation(raw: CommandInvocation): Invocation {
  const plugin = raw.CommandPlugins?.find(({ Output }) => Output) ?? raw.CommandPlugins?.[0];
  return {
    instance: raw.InstanceId ?? '',
    status: raw.Status ?? 'Pending',
    details: word(raw.StatusDetails) || raw.Status || 'Pending',
    exitCode: plugin?.ResponseCode ?? -1,
    output: plugin?.Output ?? '',
    ...times(plugin?.ResponseStartDateTime, plugin?.ResponseFinishDateTime),
  };
}

/** "Delivery Timed Out" in the guide is `DeliveryTimedOut` on the wire; both spellings of cancelled are met. */
function word(details: string | undefined): string {
  return (details ?? '').replaceAll(' ', '').replace(/^Canceled$/, 'Cancelled');
}

function times(start: Date | string | undefined, end: Date | string | undefined) {
  const startedAt = start ? new Date(start).getTime() : Number.NaN;
  const endedAt = end ? new Date(end).getTime() : Number.NaN;
  return { ...(startedAt ? { startedAt } : {}), ...(endedAt ? { endedAt } : {}) };
}

const NEVER_STARTED = ['Undeliverable', 'DeliveryTimedOut', 'Terminated', 'InvalidPlatform', 'AccessDenied'];
const ENDED = ['Success', 'Failed', 'TimedOut', 'Cancelled'];

export function hasEnded({ status, details }: Invocation): boolean {
  return ENDED.includes(status) || NEVER_STARTED.includes(details);
}

/** Between attempts to reach the agent. InProgress may mean the same, or that the script runs: SSM does not say. */
export function isWaiting(invocation: Invocation | undefined): boolean {
  return !invocation || invocation.status === 'Pending' || invocation.status === 'Delayed';
}

const SEPARATOR = '\n----------ERROR-------\n';
/** The agent cuts what reaches this many bytes, and marks the cut; a cut inside a character can make it longer. */
const CUT_BYTES = 2500;

/** Whether the merged output says all: a failed script's streams are wanted whole, and so are those that were cut. */
export function isEnough({ status, details, output }: Invocation): boolean {
  if (NEVER_STARTED.includes(details)) return true;
  return status === 'Success' && output !== '' && Buffer.byteLength(output) < CUT_BYTES;
}

export function toResult(invocation: Invocation, whole?: GetCommandInvocationCommandOutput): HostResult {
  const { instance, details, exitCode, output, startedAt, endedAt } = invocation;
  const [stdout = '', stderr = ''] = split(output);
  const elapsed = whole ? times(whole.ExecutionStartDateTime, whole.ExecutionEndDateTime) : {};
  return {
    instance,
    status: NEVER_STARTED.includes(details) ? 'Undeliverable' : invocation.status,
    details,
    exitCode: whole?.ResponseCode ?? exitCode,
    stdout: whole?.StandardOutputContent || stdout,
    stderr: whole?.StandardErrorContent || stderr,
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(endedAt === undefined ? {} : { endedAt }),
    ...elapsed,
  };
}

function split(output: string): [string, string] {
  const at = output.lastIndexOf(SEPARATOR);
  return at < 0 ? [output, ''] : [output.slice(0, at), output.slice(at + SEPARATOR.length)];
}

/** A host that gave no answer in time, or that SSM refused to send to (`NotManaged`). */
export function unreached(instance: string, details: string): HostResult {
  return { instance, status: 'Undeliverable', details, exitCode: -1, stdout: '', stderr: '' };
}
