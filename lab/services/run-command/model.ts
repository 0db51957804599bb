import type { PluginResult } from '../../agent/hub-protocol.js';

/** StatusDetails of an invocation, as the wire has them: without spaces. */
export type InvocationDetails =
  | 'Pending'
  | 'InProgress'
  | 'Delayed'
  | 'Cancelling'
  | 'Success'
  | 'Failed'
  | 'ExecutionTimedOut'
  | 'DeliveryTimedOut'
  | 'Cancelled'
  | 'Undeliverable'
  | 'Terminated';

/** One command on one instance. */
export interface Invocation {
  readonly command: Command;
  readonly instanceId: string;
  readonly instanceName: string;
  details: InvocationDetails;
  /** Present once it was handed to the hub. */
  messageId?: string;
  /** Whether the agent has taken the message. */
  acknowledged: boolean;
  /** What the agent reported at the end; absent where the script never ran. */
  plugin?: PluginResult;
  traceOutput?: string;
}

export interface Target {
  readonly key: string;
  readonly values: readonly string[];
}

export interface Command {
  readonly id: string;
  readonly documentName: string;
  readonly documentVersion: string;
  readonly comment: string;
  readonly parameters: { readonly [name: string]: readonly string[] };
  readonly instanceIds: readonly string[];
  readonly targets: readonly Target[];
  /** As asked for: a number or a percentage. */
  readonly maxConcurrency: string;
  readonly maxErrors: string;
  readonly timeoutSeconds: number;
  readonly executionTimeoutSeconds: number;
  readonly outputS3BucketName: string;
  readonly outputS3KeyPrefix: string;
  readonly serviceRole: string;
  /** Milliseconds since the epoch. */
  readonly requestedAt: number;
  /** Until then GetCommandInvocation and ListCommandInvocations know nothing of it. */
  readonly visibleAt: number;
  readonly invocations: Invocation[];
  cancelRequested: boolean;
}

const OPEN: ReadonlySet<InvocationDetails> = new Set(['Pending', 'InProgress', 'Delayed', 'Cancelling']);

export function isOpen(invocation: Invocation): boolean {
  return OPEN.has(invocation.details);
}

/** An invocation whose message waits for its turn. */
export function isUnsent(invocation: Invocation): boolean {
  return invocation.details === 'Pending' && invocation.messageId === undefined;
}

/** What counts towards MaxErrors and is shown as ErrorCount. */
export function isError(invocation: Invocation): boolean {
  return invocation.details === 'Failed' || invocation.details === 'ExecutionTimedOut';
}

/** The invocation's Status. AWS does not document the one that goes with Undeliverable and Terminated. */
export function invocationStatus(details: InvocationDetails): string {
  switch (details) {
    case 'ExecutionTimedOut':
    case 'DeliveryTimedOut':
      return 'TimedOut';
    case 'Undeliverable':
      return 'Failed';
    case 'Terminated':
      return 'Cancelled';
    default:
      return details;
  }
}

/** A limit like `MaxConcurrency`: a number, or a percentage of the targets, rounded down. */
export function limitOf(wanted: string, targets: number): number {
  return wanted.endsWith('%') ? Math.floor((targets * Number.parseInt(wanted, 10)) / 100) : Number(wanted);
}

export function concurrencyOf(command: Command): number {
  return Math.max(1, limitOf(command.maxConcurrency, command.invocations.length));
}

/** Exceeded by the error after the last one that MaxErrors allows: 0 by the first, 10% of 50 by the sixth. */
export function exceedsErrors(command: Command): boolean {
  const errors = command.invocations.filter(isError).length;
  return errors > limitOf(command.maxErrors, command.invocations.length);
}

export interface Summary {
  readonly status: string;
  readonly details: string;
}

/**
 * The command's own Status and StatusDetails. As AWS documents it, an undeliverable invocation beside a successful one
 * still makes a Success, so nobody should judge by this. Not documented: the Status of Incomplete, and timeouts alone.
 */
export function summaryOf(command: Command): Summary {
  const { invocations } = command;
  if (invocations.length === 0) return { status: 'Success', details: 'NoInstancesInTag' };
  if (invocations.some(isOpen)) return same(openStatus(command));
  const has = (details: InvocationDetails) => invocations.some((invocation) => invocation.details === details);
  if (has('Cancelled')) return same('Cancelled');
  if (exceedsErrors(command)) {
    return has('Failed') ? same('Failed') : { status: 'TimedOut', details: 'ExecutionTimedOut' };
  }
  return settledWithoutErrors(command);
}

function openStatus(command: Command): string {
  if (command.cancelRequested) return 'Cancelling';
  return command.invocations.every(({ details }) => details === 'Pending') ? 'Pending' : 'InProgress';
}

function settledWithoutErrors({ invocations, maxErrors }: Command): Summary {
  const lost = invocations.filter(({ details }) => details === 'DeliveryTimedOut').length;
  if (lost > limitOf(maxErrors, invocations.length)) return { status: 'TimedOut', details: 'DeliveryTimedOut' };
  const delivered = invocations.filter(({ details }) => details !== 'Undeliverable');
  if (delivered.length === 0) return same('Failed');
  if (delivered.every(({ details }) => details === 'Success')) return same('Success');
  return { status: 'Failed', details: 'Incomplete' };
}

function same(status: string): Summary {
  return { status, details: status };
}
