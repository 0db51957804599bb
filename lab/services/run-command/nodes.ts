import type { Instance, Instances } from '../../model/instances.js';
import type { Input } from '../../wire/service.js';
import { numberWithin, page, records, text, texts } from '../input.js';
import { invalidToken } from '../parameters/errors.js';
import type { AgentHub } from './dispatch.js';
import { invalidFilterKey, invalidInstanceId, malformedInstanceId, validation } from './errors.js';
import type { Target } from './model.js';
import { isInstanceId } from './request.js';

const LEAST_PAGE = 5;
const DEFAULT_PAGE = 10;
const MOST_PAGE = 50;

/** The managed nodes: running instances whose agent has registered. Stopped and terminated ones are none. */
export class ManagedNodes {
  readonly #hub: AgentHub;
  readonly #instances: Instances;

  constructor(options: { readonly hub: AgentHub; readonly instances: Instances }) {
    this.#hub = options.hub;
    this.#instances = options.instances;
  }

  /** The instances a command goes to. One id that is no managed node fails all. */
  select(instanceIds: readonly string[], targets: readonly Target[]): Instance[] {
    const named = instanceIds.map((id) => this.#managed(id));
    if (targets.length === 0) return named;
    const targeted = this.#all().filter((instance) => targets.every((target) => this.#isMeant(instance, target)));
    return [...new Set([...named, ...targeted])];
  }

  describe(input: Input): object {
    const matches = readFilters(input);
    const nodes = this.#all().map((instance) => this.#information(instance));
    const { items, nextToken } = page(
      nodes.filter((node) => matches(node)),
      {
        key: ({ view }) => view.InstanceId,
        limit: numberWithin(input, 'MaxResults', { least: LEAST_PAGE, most: MOST_PAGE, fallback: DEFAULT_PAGE }),
        token: text(input, 'NextToken'),
        invalidToken,
      },
    );
    return { InstanceInformationList: items.map(({ view }) => view), ...(nextToken ? { NextToken: nextToken } : {}) };
  }

  computerName(instanceId: string): string {
    return this.#hub.describe(instanceId)?.hostname ?? '';
  }

  #all(): Instance[] {
    return this.#instances.all().filter((instance) => this.#isManaged(instance));
  }

  #isManaged(instance: Instance): boolean {
    return instance.state === 'running' && this.#hub.describe(instance.id) !== undefined;
  }

  #managed(id: string): Instance {
    const instance = this.#instances.get(id);
    if (!instance || !this.#isManaged(instance)) throw invalidInstanceId();
    return instance;
  }

  #isMeant(instance: Instance, { key, values }: Target): boolean {
    if (!key.startsWith('tag:')) return values.includes(instance.id);
    const value = instance.tags[key.slice('tag:'.length)];
    return value !== undefined && values.includes(value);
  }

  #information(instance: Instance): Node {
    const host = this.#hub.describe(instance.id);
    const heard = this.#hub.lastPing(instance.id);
    const view = {
      InstanceId: instance.id,
      PingStatus: this.#hub.isOnline(instance.id) ? 'Online' : 'ConnectionLost',
      ...(heard === undefined ? {} : { LastPingDateTime: new Date(heard) }),
      AgentVersion: host?.agentVersion ?? '',
      IsLatestVersion: true,
      PlatformType: host?.platform.type ?? '',
      PlatformName: host?.platform.name ?? '',
      PlatformVersion: host?.platform.version ?? '',
      ResourceType: 'EC2Instance',
      IPAddress: host?.address ?? '',
      ComputerName: host?.hostname ?? '',
      SourceId: instance.id,
      SourceType: 'AWS::EC2::Instance',
    };
    return { view, tags: instance.tags };
  }
}

interface Node {
  readonly view: {
    readonly InstanceId: string;
    readonly PingStatus: string;
    readonly AgentVersion: string;
    readonly PlatformType: string;
    readonly ResourceType: string;
  };
  readonly tags: Instance['tags'];
}

interface Filter {
  readonly key: string;
  readonly values: readonly string[];
}

const FIELDS: { readonly [key: string]: (node: Node) => string | undefined } = {
  InstanceIds: ({ view }) => view.InstanceId,
  PingStatus: ({ view }) => view.PingStatus,
  AgentVersion: ({ view }) => view.AgentVersion,
  PlatformTypes: ({ view }) => view.PlatformType,
  ResourceType: ({ view }) => view.ResourceType,
  SourceIds: ({ view }) => view.InstanceId,
  ActivationIds: () => undefined,
  IamRole: () => undefined,
  AssociationStatus: () => undefined,
};

function readFilters(input: Input): (node: Node) => boolean {
  const current = records(input, 'Filters').map((filter) => ({
    key: text(filter, 'Key') ?? '',
    values: texts(filter, 'Values'),
  }));
  const legacy = records(input, 'InstanceInformationFilterList').map((filter) => ({
    key: text(filter, 'key') ?? '',
    values: texts(filter, 'valueSet'),
  }));
  if (current.length > 0 && legacy.length > 0) {
    throw validation('Filters and InstanceInformationFilterList cannot be used together.');
  }
  const filters = [...current, ...legacy];
  const byTag = filters.filter(({ key }) => key === 'tag-key' || key.startsWith('tag:'));
  if (byTag.length > 0 && byTag.length < filters.length) {
    throw validation('Tag filters cannot be used together with other filters.');
  }
  const tests = filters.map(readFilter);
  return (node) => tests.every((matches) => matches(node));
}

function readFilter({ key, values }: Filter): (node: Node) => boolean {
  if (key === 'tag-key') return ({ tags }) => values.some((name) => name in tags);
  if (key.startsWith('tag:')) return ({ tags }) => values.includes(tags[key.slice('tag:'.length)] ?? '');
  const field = FIELDS[key];
  if (!field) throw invalidFilterKey();
  const malformed = key === 'InstanceIds' && values.find((id) => !isInstanceId(id));
  if (malformed) throw malformedInstanceId(malformed);
  return (node) => values.includes(field(node) ?? '');
}
