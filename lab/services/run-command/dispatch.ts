import { randomUUID } from 'node:crypto';
import type { AgentReply, DocumentStatus, Hub, HubEvent, ScriptParameters } from '../../agent/hub.js';
import type { LabClock } from '../../model/clock.js';
import type { Instance, Instances } from '../../model/instances.js';
import {
  type Command,
  concurrencyOf,
  exceedsErrors,
  type Invocation,
  type InvocationDetails,
  isOpen,
  isUnsent,
} from './model.js';

/** As much of the hub as the service talks to. */
export type AgentHub = Pick<
  Hub,
  'deliver' | 'withdraw' | 'onEvent' | 'isOnline' | 'isConnected' | 'lastPing' | 'describe'
>;

const ENDINGS: { readonly [status in DocumentStatus]?: InvocationDetails } = {
  Success: 'Success',
  Failed: 'Failed',
  TimedOut: 'ExecutionTimedOut',
  Cancelled: 'Cancelled',
};

/**
 * Sends commands to agents and follows them to their end. AWS ramps up to MaxConcurrency over the first invocations; here
 * that many are sent at once.
 */
export class Dispatcher {
  readonly #hub: AgentHub;
  readonly #instances: Instances;
  readonly #clock: LabClock;
  readonly #sent = new Map<string, Invocation>();
  readonly #timers = new Map<Command, readonly (() => void)[]>();

  constructor(options: { readonly hub: AgentHub; readonly instances: Instances; readonly clock: LabClock }) {
    this.#hub = options.hub;
    this.#instances = options.instances;
    this.#clock = options.clock;
    this.#hub.onEvent((event) => this.#heard(event));
    this.#instances.onChange((instance) => this.#instanceChanged(instance));
  }

  /** The caller of SendCommand sees the command Pending, so nothing is sent before it has its answer. */
  start(command: Command): void {
    if (command.invocations.length === 0) return;
    const delivery = command.timeoutSeconds * 1000;
    this.#timers.set(command, [
      this.#clock.after(0, () => this.#send(command)),
      this.#clock.after(delivery, () => this.#endDelivery(command)),
      this.#clock.after(delivery + command.executionTimeoutSeconds * 1000, () => this.#expire(command)),
    ]);
  }

  #stopTimers(commands: readonly Command[]): void {
    for (const command of commands) {
      for (const stop of this.#timers.get(command) ?? []) stop();
      this.#timers.delete(command);
    }
  }

  /** What the agent has not taken ends at once; what it has taken gets a cancel message and ends when it says so. */
  cancel(command: Command, wanted: readonly Invocation[]): void {
    if (wanted.length === command.invocations.length) command.cancelRequested = true;
    for (const invocation of wanted.filter(isOpen)) {
      if (this.#withdraw(invocation)) this.#settle(invocation, 'Cancelled');
      else this.#askToStop(invocation);
    }
  }

  #askToStop(invocation: Invocation): void {
    if (invocation.details === 'Cancelling') return;
    invocation.details = 'Cancelling';
    const message = { kind: 'cancel', messageId: randomUUID(), commandId: invocation.command.id } as const;
    this.#hub.deliver(invocation.instanceId, message);
  }

  #send(command: Command): void {
    const inFlight = () =>
      command.invocations.filter((invocation) => isOpen(invocation) && !isUnsent(invocation)).length;
    for (const invocation of command.invocations.filter(isUnsent)) {
      if (inFlight() >= concurrencyOf(command)) return;
      this.#deliver(invocation);
    }
  }

  #deliver(invocation: Invocation): void {
    const { command, instanceId } = invocation;
    const messageId = randomUUID();
    invocation.messageId = messageId;
    this.#sent.set(messageId, invocation);
    invocation.details = this.#hub.isConnected(instanceId) ? 'InProgress' : 'Delayed';
    const parameters = agentParameters(command);
    this.#hub.deliver(instanceId, { kind: 'run', messageId, commandId: command.id, parameters });
  }

  #heard(event: HubEvent): void {
    if (event.kind === 'closed') this.#stopTimers([...this.#timers.keys()]);
    if (event.kind !== 'acknowledged' && event.kind !== 'reply') return;
    const invocation = this.#sent.get(event.messageId);
    if (!invocation || !isOpen(invocation)) return;
    if (event.kind === 'reply') this.#replied(invocation, event);
    else this.#acknowledged(invocation);
  }

  #acknowledged(invocation: Invocation): void {
    invocation.acknowledged = true;
    if (invocation.details === 'Delayed') invocation.details = 'InProgress';
  }

  /** A reboot (SuccessAndReboot) is no end: the script runs again. */
  #replied(invocation: Invocation, reply: AgentReply): void {
    const ending = ENDINGS[reply.documentStatus];
    if (!ending) return;
    if (reply.plugin) invocation.plugin = reply.plugin;
    if (reply.traceOutput) invocation.traceOutput = reply.traceOutput;
    this.#settle(invocation, ending);
  }

  #settle(invocation: Invocation, details: InvocationDetails): void {
    const { command } = invocation;
    invocation.details = details;
    if (invocation.messageId) this.#sent.delete(invocation.messageId);
    if (exceedsErrors(command)) {
      for (const unsent of command.invocations.filter(isUnsent)) unsent.details = 'Terminated';
    }
    this.#send(command);
    if (!command.invocations.some(isOpen)) this.#stopTimers([command]);
  }

  /** A command that no agent has taken by now will not run any more; it is reported only when `expire` comes. */
  #endDelivery(command: Command): void {
    for (const invocation of command.invocations.filter(isOpen)) {
      // A message id keeps what was never sent from being sent now.
      invocation.messageId ??= randomUUID();
      this.#withdraw(invocation);
    }
  }

  /**
   * The total timeout, delivery and execution: what is open was not delivered or its host is gone. A cancelled command of
   * which the agent reported nothing (it drops one that waits behind others without a word) is taken as cancelled.
   */
  #expire(command: Command): void {
    for (const invocation of command.invocations.filter(isOpen)) {
      this.#settle(invocation, invocation.details === 'Cancelling' ? 'Cancelled' : 'DeliveryTimedOut');
    }
  }

  /** True when the agent can no longer get the message, or never had one. */
  #withdraw({ instanceId, messageId, acknowledged }: Invocation): boolean {
    return messageId === undefined || (!acknowledged && this.#hub.withdraw(instanceId, messageId));
  }

  /** A stopped instance may come back and take its message; a terminated one can't. */
  #instanceChanged({ id, state }: Instance): void {
    if (state !== 'shutting-down' && state !== 'terminated') return;
    for (const invocation of [...this.#sent.values()]) {
      if (invocation.instanceId === id && this.#withdraw(invocation)) this.#settle(invocation, 'Undeliverable');
    }
  }
}

/** A document's parameters, of which the service passes on the strings as strings. */
function agentParameters({ parameters }: Command): ScriptParameters {
  const { commands = [], workingDirectory = [], executionTimeout = [] } = parameters;
  return {
    commands,
    workingDirectory: workingDirectory[0] ?? '',
    executionTimeout: executionTimeout[0] ?? '3600',
  };
}
