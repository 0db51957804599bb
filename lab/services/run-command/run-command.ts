import { randomUUID } from 'node:crypto';
import type { LabClock } from '../../model/clock.js';
import type { Instances } from '../../model/instances.js';
import type { Input, Operation } from '../../wire/service.js';
import { constraint, numberWithin, page, requiredText, text } from '../input.js';
import { invalidToken } from '../parameters/errors.js';
import { type AgentHub, Dispatcher } from './dispatch.js';
import { invalidCommandId, invalidPluginName, invocationDoesNotExist } from './errors.js';
import { matchesCommand, matchesInvocation } from './filters.js';
import type { Command, Invocation } from './model.js';
import { ManagedNodes } from './nodes.js';
import { MOST_INSTANCES, PLUGIN, readInstanceIds, readRequest } from './request.js';
import { commandView, invocationView, resultView } from './views.js';

/** Right after SendCommand, reads do not know the command yet: "normal" for half a second to two. */
const VISIBILITY_DELAY_MILLISECONDS: readonly [number, number] = [500, 1500];
const COMMAND_ID_CHARACTERS = 36;

/** A script that was accepted for its hosts. */
export interface SentScript {
  readonly commandId: string;
  readonly instances: readonly string[];
  readonly comment: string;
  readonly script: string;
}

export interface RunCommandOptions {
  readonly hub: AgentHub;
  readonly instances: Instances;
  readonly clock: LabClock;
  readonly region: string;
  readonly account: string;
  /** The bounds between which a command stays unknown to reads, or one value for all. */
  readonly visibilityDelayMs?: readonly [number, number] | number;
  /** 0 up to 1; picks the delay between its bounds. */
  readonly random?: () => number;
  readonly onScript?: (sent: SentScript) => void;
}

/** SSM Run Command: the operations of AmazonSSM that send commands and tell what became of them. */
export function createRunCommand(options: RunCommandOptions): { readonly [name: string]: Operation } {
  const service = new RunCommandService(options);
  return {
    SendCommand: (input) => service.send(input),
    GetCommandInvocation: (input) => service.getInvocation(input),
    ListCommandInvocations: (input) => service.listInvocations(input),
    ListCommands: (input) => service.listCommands(input),
    CancelCommand: (input) => service.cancel(input),
    DescribeInstanceInformation: (input) => service.describeNodes(input),
  };
}

class RunCommandService {
  readonly #options: RunCommandOptions;
  readonly #nodes: ManagedNodes;
  readonly #dispatcher: Dispatcher;
  readonly #commands = new Map<string, Command>();

  constructor(options: RunCommandOptions) {
    this.#options = options;
    this.#nodes = new ManagedNodes(options);
    this.#dispatcher = new Dispatcher(options);
  }

  send(input: Input): object {
    const request = readRequest(input);
    const instances = this.#nodes.select(request.instanceIds, request.targets);
    const requestedAt = this.#options.clock.now();
    const command: Command = {
      ...request,
      id: randomUUID(),
      requestedAt,
      visibleAt: requestedAt + this.#visibilityDelay(),
      invocations: [],
      cancelRequested: false,
    };
    for (const { id } of instances) command.invocations.push(this.#invocation(command, id));
    this.#commands.set(command.id, command);
    this.#announce(command);
    const view = commandView(command, this.#options.region, { status: 'Pending', details: 'Pending' });
    this.#dispatcher.start(command);
    // AWS counts the targets after it has answered.
    return { Command: { ...view, TargetCount: 0 } };
  }

  getInvocation(input: Input): object {
    const id = commandId(input);
    const instanceId = requiredText(input, 'InstanceId');
    const command = this.#visible(id);
    const invocation = command?.invocations.find((candidate) => candidate.instanceId === instanceId);
    if (!invocation) throw invocationDoesNotExist();
    const plugin = text(input, 'PluginName');
    if (plugin !== undefined && plugin !== PLUGIN) throw invalidPluginName();
    return resultView(invocation);
  }

  listInvocations(input: Input): object {
    const { region } = this.#options;
    const instanceId = text(input, 'InstanceId');
    const matches = matchesInvocation(input);
    const found = this.#wanted(input)
      .flatMap(({ invocations }) => invocations)
      .filter((invocation) => instanceId === undefined || invocation.instanceId === instanceId)
      .filter(matches);
    const { items, nextToken } = this.#page(found, input, ({ command, instanceId: id }) => [command, id]);
    const details = input.Details === true;
    return {
      CommandInvocations: items.map((invocation) => invocationView(invocation, { region, details })),
      ...(nextToken ? { NextToken: nextToken } : {}),
    };
  }

  listCommands(input: Input): object {
    const instanceId = text(input, 'InstanceId');
    const found = this.#wanted(input)
      .filter(({ invocations }) => instanceId === undefined || invocations.some((one) => one.instanceId === instanceId))
      .filter(matchesCommand(input));
    const { items, nextToken } = this.#page(found, input, (command) => [command, '']);
    return {
      Commands: items.map((command) => commandView(command, this.#options.region)),
      ...(nextToken ? { NextToken: nextToken } : {}),
    };
  }

  cancel(input: Input): object {
    const command = this.#commands.get(commandId(input));
    if (!command) throw invalidCommandId();
    const ids = readInstanceIds(input);
    const wanted = command.invocations.filter(({ instanceId }) => ids.length === 0 || ids.includes(instanceId));
    this.#dispatcher.cancel(command, wanted);
    return {};
  }

  describeNodes(input: Input): object {
    return this.#nodes.describe(input);
  }

  #visibilityDelay(): number {
    const delay = this.#options.visibilityDelayMs ?? VISIBILITY_DELAY_MILLISECONDS;
    const [least, most] = typeof delay === 'number' ? [delay, delay] : delay;
    return least + (this.#options.random ?? Math.random)() * (most - least);
  }

  #invocation(command: Command, instanceId: string): Invocation {
    const instanceName = this.#nodes.computerName(instanceId);
    return { command, instanceId, instanceName, details: 'Pending', acknowledged: false };
  }

  #announce(command: Command): void {
    this.#options.onScript?.({
      commandId: command.id,
      instances: command.invocations.map(({ instanceId }) => instanceId),
      comment: command.comment,
      script: (command.parameters.commands ?? []).join('\n'),
    });
  }

  #visible(id: string): Command | undefined {
    const command = this.#commands.get(id);
    return command && this.#options.clock.now() >= command.visibleAt ? command : undefined;
  }

  /** The commands a listing is about. An unknown id is an error, one that is not visible yet is nothing. */
  #wanted(input: Input): Command[] {
    const all = [...this.#commands.values()].filter(({ id }) => this.#visible(id));
    if (text(input, 'CommandId') === undefined) return all;
    const id = commandId(input);
    if (!this.#commands.has(id)) throw invalidCommandId();
    return all.filter((command) => command.id === id);
  }

  /** Newest commands first, 50 a page. */
  #page<T>(items: readonly T[], input: Input, sortedBy: (item: T) => readonly [Command, string]) {
    return page(items, {
      key: (item) => {
        const [{ requestedAt, id }, rest] = sortedBy(item);
        return `${String(Number.MAX_SAFE_INTEGER - Math.floor(requestedAt)).padStart(16, '0')} ${id} ${rest}`;
      },
      limit: numberWithin(input, 'MaxResults', { least: 1, most: MOST_INSTANCES, fallback: MOST_INSTANCES }),
      token: text(input, 'NextToken'),
      invalidToken,
    });
  }
}

function commandId(input: Input): string {
  const id = requiredText(input, 'CommandId');
  if (id.length === COMMAND_ID_CHARACTERS) return id;
  const side = id.length < COMMAND_ID_CHARACTERS ? 'greater' : 'less';
  throw constraint(id, 'CommandId', `Member must have length ${side} than or equal to ${COMMAND_ID_CHARACTERS}`);
}
