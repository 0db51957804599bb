import { randomUUID } from 'node:crypto';
import type { AgentMessage, AgentReply, HubEvent, PluginResult } from '../../lab/agent/hub.js';
import { createRunCommand } from '../../lab/services/run-command/run-command.js';
import type { CallContext, Operation } from '../../lab/wire/service.js';
import { type AgentCase, parametersOf, refusedByService } from './cases.js';
import type { TestHost } from './host.js';

/** What came of a command: every reply as the agent posted it, and the service's two answers where it was asked. */
export interface Ran {
  readonly commandId: string;
  /** InProgress, AcknowledgeMessage, …, in order. */
  readonly sequence: readonly string[];
  readonly replies: readonly AgentReply[];
  readonly final: AgentReply;
  readonly service?: { readonly invocation: ServiceAnswer; readonly listed: ServiceAnswer };
  /** The processes of the host a moment after the end, one command line each. */
  readonly processes: readonly string[];
}

export type ServiceAnswer = { readonly [field: string]: unknown };

/** While the real agent was observed, processes were looked at 0.5 to 2 s after the final reply. */
const SURVIVAL_MILLISECONDS = 700;

const context: CallContext = {
  region: 'us-east-1',
  account: '123456789012',
  principal: { accessKeyId: 'ASIALABRUNNER0000001', arn: 'arn:aws:iam::123456789012:role/deploy', userId: 'AROA' },
  requestId: randomUUID(),
};

/** Run Command on the test host, and everything its agent says. */
export class Bench {
  readonly host: TestHost;
  readonly #operations: { readonly [name: string]: Operation };
  readonly #events: Exclude<HubEvent, { kind: 'closed' | 'registered' }>[] = [];
  readonly #waiting = new Set<() => void>();

  constructor(host: TestHost) {
    this.host = host;
    const { hub, instances, clock } = host;
    const { region, account } = context;
    this.#operations = createRunCommand({ hub, instances, clock, region, account, visibilityDelayMs: 0 });
    hub.onEvent((event) => {
      if (event.kind === 'closed' || event.kind === 'registered') return;
      this.#events.push(event);
      for (const look of [...this.#waiting]) look();
    });
  }

  async call(operation: string, input: { readonly [key: string]: unknown }): Promise<ServiceAnswer> {
    const run = this.#operations[operation];
    if (!run) throw new Error(`No operation ${operation}`);
    return (await run(input, context)) as ServiceAnswer;
  }

  async send(parameters: { readonly [name: string]: unknown }): Promise<string> {
    const lists = Object.entries(parameters).map(([name, value]) => [name, Array.isArray(value) ? value : [value]]);
    const sent = await this.call('SendCommand', {
      DocumentName: 'AWS-RunShellScript',
      InstanceIds: [this.host.instanceId],
      Parameters: Object.fromEntries(lists),
    });
    return (sent.Command as { CommandId: string }).CommandId;
  }

  /** Past the service, as a message of the hub. */
  deliver(message: { kind: 'cancel'; commandId: string } | Omit<AgentMessage & { kind: 'run' }, 'messageId'>): string {
    const messageId = randomUUID();
    this.host.hub.deliver(this.host.instanceId, { ...message, messageId } as AgentMessage);
    return messageId;
  }

  /** The replies to a command, not those to its cancel message. */
  replies(commandId: string): AgentReply[] {
    const all = this.#events.flatMap((event) => (event.kind === 'reply' ? [event] : []));
    const first = all.find((reply) => reply.commandId === commandId);
    return all.filter(({ messageId }) => messageId === first?.messageId);
  }

  sequence(messageId: string): string[] {
    return this.#events
      .filter((event) => event.messageId === messageId)
      .map((event) => (event.kind === 'reply' ? event.documentStatus : 'AcknowledgeMessage'));
  }

  /** Resolves when what was said so far fulfils the condition. */
  until<T>(condition: () => T | undefined): Promise<T> {
    return new Promise((resolve) => {
      const look = () => {
        const found = condition();
        if (found === undefined) return;
        this.#waiting.delete(look);
        resolve(found);
      };
      this.#waiting.add(look);
      look();
    });
  }

  end(commandId: string): Promise<AgentReply> {
    return this.until(() =>
      this.replies(commandId).find(
        ({ documentStatus }) => documentStatus !== 'InProgress' && documentStatus !== 'SuccessAndReboot',
      ),
    );
  }

  async plugin(commandId: string): Promise<PluginResult> {
    const { plugin } = await this.end(commandId);
    if (!plugin) throw new Error(`Command ${commandId} ended without a result.`);
    return plugin;
  }

  /** Resolves when a process with this command line runs on the host. */
  async running(commandLine: string): Promise<void> {
    while (!(await this.processes()).includes(commandLine)) await pause(100);
  }

  async ended(commandLine: string): Promise<void> {
    while ((await this.processes()).includes(commandLine)) await pause(100);
  }

  async processes(): Promise<string[]> {
    return (await this.host.exec(['ps', '-eo', 'args='])).split('\n').map((line) => line.trim());
  }

  /** A case from its sending to its end. */
  async run(one: AgentCase): Promise<Ran> {
    const direct = refusedByService.has(one.name);
    const commandId = direct ? this.#direct(one) : await this.send(parametersOf(one));
    const final = await this.end(commandId);
    if (one.expect.survivors) await pause(SURVIVAL_MILLISECONDS);
    return {
      commandId,
      final,
      replies: this.replies(commandId),
      sequence: this.sequence(final.messageId),
      processes: one.expect.survivors ? await this.processes() : [],
      ...(direct ? {} : { service: await this.answers(commandId) }),
    };
  }

  #direct(one: AgentCase): string {
    const commandId = randomUUID();
    this.deliver({ kind: 'run', commandId, parameters: parametersOf(one) });
    return commandId;
  }

  async answers(commandId: string): Promise<NonNullable<Ran['service']>> {
    const invocation = await this.call('GetCommandInvocation', {
      CommandId: commandId,
      InstanceId: this.host.instanceId,
    });
    const list = await this.call('ListCommandInvocations', { CommandId: commandId, Details: true });
    const [listed] = list.CommandInvocations as ServiceAnswer[];
    if (!listed) throw new Error(`Command ${commandId} is not listed.`);
    return { invocation, listed };
  }
}

/** Runs all, `width` at a time, and keeps what came of each under its name. */
export async function runAll(bench: Bench, all: readonly AgentCase[], width: number): Promise<Map<string, Ran>> {
  const waiting = [...all].sort((a, b) => (b.expect.execSeconds ?? 0) - (a.expect.execSeconds ?? 0));
  const done = new Map<string, Ran>();
  const work = async () => {
    for (let one = waiting.shift(); one; one = waiting.shift()) done.set(one.name, await bench.run(one));
  };
  await Promise.all(Array.from({ length: width }, work));
  return done;
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
