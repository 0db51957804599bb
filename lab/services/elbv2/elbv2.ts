import { type SendCheck, sendCheck } from '../../balancer/checker.js';
import { HealthMonitor, type Location, type TargetId } from '../../balancer/health-monitor.js';
import { startProxy } from '../../balancer/proxy.js';
import type { RouteRule } from '../../balancer/routing.js';
import type { HealthPolicy, ReportedHealth, Surroundings } from '../../balancer/target-health.js';
import { AWS_TRAFFIC_TIMEOUTS, type TrafficTimeouts, type Upstream, Upstreams } from '../../balancer/upstream.js';
import type { LabClock } from '../../model/clock.js';
import type { Instance, Instances } from '../../model/instances.js';
import type { Service } from '../../wire/service.js';
import { attribute, TARGET_GROUP_ATTRIBUTES } from './attributes.js';
import { listenerOperations, ruleOperations } from './listeners.js';
import { type KnownSubnet, loadBalancerOperations } from './load-balancers.js';
import { type Listener, Store, type UnwatchedGroup } from './store.js';
import { tagOperations } from './tags.js';
import { targetGroupOperations } from './target-groups.js';
import { targetOperations } from './targets.js';

export interface Elbv2Options {
  readonly instances: Instances;
  /** Health checks, registration and deregistration delays run on it; traffic runs in real time. */
  readonly clock: LabClock;
  readonly region: string;
  readonly account: string;
  /** Availability Zones, for subnets without an instance. */
  readonly zones: readonly string[];
  /** The VPC's subnets; if given, a load balancer can only be made in these. */
  readonly subnets?: readonly KnownSubnet[];
  /** Address on which listeners serve; `false` for a load balancer without traffic, as a simulation wants it. */
  readonly listen?: string | false;
  /** Where the lab reaches a port of an instance; by default its private IP. */
  readonly addresses?: (instance: Instance, port: number) => { readonly host: string; readonly port: number };
  /** How a health check is made; by default over HTTP. */
  readonly send?: SendCheck;
  readonly reRegisterWhileDraining?: HealthPolicy['reRegisterWhileDraining'];
  readonly registrationMilliseconds?: number;
  readonly trafficTimeouts?: TrafficTimeouts;
  readonly onTransition?: (transition: TargetTransition) => void;
}

export interface TargetTransition {
  /** ARN. */
  readonly targetGroup: string;
  readonly target: TargetId;
  /** States of DescribeTargetHealth; a target that is not registered is `unused`. */
  readonly from: string;
  readonly to: string;
  /** Reason code of `to`; a healthy target has none. */
  readonly reason: string | undefined;
  /** Milliseconds since the epoch, of the lab's clock. */
  readonly at: number;
}

export interface ServedListener {
  readonly arn: string;
  /** ARN. */
  readonly loadBalancer: string;
  /** As the listener declares it; `url` has the real one. */
  readonly port: number;
  readonly url: string;
}

export interface Elbv2 {
  readonly service: Service;
  listeners(): ServedListener[];
  /** Every target of a group, draining ones included. Throws TargetGroupNotFound. */
  targetHealth(arn: string): (TargetId & ReportedHealth)[];
  /** The targets of a group that are given requests now. Throws TargetGroupNotFound. */
  rotation(arn: string): TargetId[];
  /** Stops checks and listeners; requests in flight may end for two seconds. */
  close(): Promise<void>;
}

/** AWS names no duration for `Elb.RegistrationInProgress`; it is seen for a moment only. */
const REGISTRATION_MILLISECONDS = 1_000;

/** The load balancing service of a lab: ELBv2's API in front of real health checks and a real proxy. */
export function createElbv2(options: Elbv2Options): Elbv2 {
  const store = new Store(options);
  const balancer = new Balancer(store, options);
  const { instances } = options;
  const shared = {
    ...options,
    store,
    refresh: () => balancer.refresh(),
    startListener: (listener: Listener) => balancer.startListener(listener),
    removeListener: (listener: Listener) => balancer.removeListener(listener),
    monitorOf: (group: UnwatchedGroup) => balancer.monitorOf(group),
  };
  const stopListening = instances.onChange(() => balancer.refresh());
  return {
    service: {
      id: 'elasticloadbalancing',
      protocol: 'query',
      version: '2015-12-01',
      xmlNamespace: 'http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/',
      operations: {
        ...loadBalancerOperations(shared),
        ...listenerOperations(shared),
        ...ruleOperations(shared),
        ...targetGroupOperations(shared),
        ...targetOperations(shared),
        ...tagOperations(store),
      },
    },
    listeners: () => balancer.served(),
    targetHealth: (arn) => {
      const { monitor } = store.group(arn);
      return monitor.targets().map((target) => ({ ...target, ...monitor.health(target) }));
    },
    rotation: (arn) => store.group(arn).monitor.rotation(),
    close: async () => {
      stopListening();
      await balancer.close();
    },
  };
}

/** Joins what the API was told to what checks targets and carries traffic. */
class Balancer {
  readonly #store: Store;
  readonly #options: Elbv2Options;
  readonly #timeouts: TrafficTimeouts;
  readonly #upstreams: Upstreams;

  constructor(store: Store, options: Elbv2Options) {
    this.#store = store;
    this.#options = options;
    this.#timeouts = options.trafficTimeouts ?? AWS_TRAFFIC_TIMEOUTS;
    this.#upstreams = new Upstreams(this.#timeouts);
  }

  refresh(): void {
    for (const { monitor } of this.#store.groups.values()) monitor.refresh();
  }

  async startListener(listener: Listener): Promise<void> {
    const { listen = '127.0.0.1' } = this.#options;
    if (listen === false) return;
    const backend = {
      endpoint: () => ({ protocol: listener.protocol, port: listener.port }),
      rules: () => this.#rules(listener),
      rotation: (group: string) => this.#rotation(group),
    };
    listener.proxy = await startProxy(listen, backend, this.#timeouts);
  }

  async removeListener(listener: Listener): Promise<void> {
    for (const { arn } of this.#store.rulesOf(listener.arn)) this.#store.rules.delete(arn);
    this.#store.listeners.delete(listener.arn);
    this.#store.tags.delete(listener.arn);
    this.refresh();
    await listener.proxy?.close();
  }

  monitorOf(group: UnwatchedGroup): HealthMonitor {
    const { clock, send = sendCheck } = this.#options;
    return new HealthMonitor({
      clock,
      send,
      policy: () => this.#policy(group),
      checks: () => group.healthCheck,
      surroundings: (target) => this.#surroundings(group, target),
      locate: (target, port) => this.#locate(group, target, port),
      onTransition: ({ target, from, to, at }) => {
        if (to.Reason === 'Target.NotRegistered') this.#upstreams.retire(upstreamKey(group.arn, target));
        this.#options.onTransition?.({
          targetGroup: group.arn,
          target,
          from: from.State,
          to: to.State,
          reason: to.Reason,
          at,
        });
      },
    });
  }

  served(): ServedListener[] {
    return [...this.#store.listeners.values()].flatMap(({ arn, loadBalancer, port, proxy }) =>
      proxy ? [{ arn, loadBalancer, port, url: proxy.url }] : [],
    );
  }

  async close(): Promise<void> {
    for (const { monitor } of this.#store.groups.values()) monitor.close();
    await Promise.all([...this.#store.listeners.values()].map(({ proxy }) => proxy?.close()));
    this.#upstreams.close();
  }

  #policy({ healthCheck, attributes }: UnwatchedGroup): HealthPolicy {
    const delay = attribute(attributes, TARGET_GROUP_ATTRIBUTES, 'deregistration_delay.timeout_seconds');
    return {
      healthyThreshold: healthCheck.healthyThreshold,
      unhealthyThreshold: healthCheck.unhealthyThreshold,
      deregistrationDelaySeconds: Number(delay),
      registrationMilliseconds: this.#options.registrationMilliseconds ?? REGISTRATION_MILLISECONDS,
      reRegisterWhileDraining: this.#options.reRegisterWhileDraining ?? 'immediate',
    };
  }

  #surroundings(group: UnwatchedGroup, { id }: TargetId): Surroundings {
    const [loadBalancer] = this.#store.loadBalancersUsing(group.arn);
    const groupInUse = loadBalancer !== undefined;
    if (group.type !== 'instance')
      return { instance: 'running', groupInUse, zoneEnabled: true, checked: group.type !== 'lambda' };
    const instance = this.#options.instances.get(id);
    const zoneEnabled = !loadBalancer || loadBalancer.subnets.some(({ zone }) => zone === instance?.zone);
    return { instance: instance?.state ?? 'terminated', groupInUse, zoneEnabled, checked: true };
  }

  #locate(group: UnwatchedGroup, { id }: TargetId, port: number): Location {
    const instance = group.type === 'instance' ? this.#options.instances.get(id) : undefined;
    if (!instance) return { host: id, port, privateIp: id };
    const address = this.#options.addresses?.(instance, port) ?? { host: instance.privateIp, port };
    return { ...address, privateIp: instance.privateIp };
  }

  #rules(listener: Listener): RouteRule[] {
    const rules = this.#store.rulesOf(listener.arn);
    return [...rules, { conditions: [], actions: listener.defaultActions }].flatMap(({ conditions, actions }) =>
      actions.map((action) => ({ conditions, action })),
    );
  }

  #rotation(arn: string): Upstream[] {
    const group = this.#store.groups.get(arn);
    if (!group || group.type === 'lambda') return [];
    return group.monitor.rotation().map((target) => {
      const { host, port } = this.#locate(group, target, target.port);
      return this.#upstreams.get(upstreamKey(arn, target), { host, port });
    });
  }
}

function upstreamKey(group: string, { id, port }: TargetId): string {
  return `${group} ${id}:${port}`;
}
