import { createHash } from 'node:crypto';
import type { HealthMonitor } from '../../balancer/health-monitor.js';
import type { ListenerProxy } from '../../balancer/proxy.js';
import type { RouteCondition } from '../../balancer/routing.js';
import { ServiceError } from '../../wire/service.js';
import type { Action } from './actions.js';

export interface LoadBalancer {
  readonly arn: string;
  readonly name: string;
  readonly scheme: string;
  readonly vpc: string;
  readonly dnsName: string;
  readonly createdAt: number;
  readonly subnets: readonly { readonly subnet: string; readonly zone: string }[];
  readonly securityGroups: readonly string[];
  readonly attributes: Map<string, string>;
}

export interface Listener {
  readonly arn: string;
  readonly loadBalancer: string;
  port: number;
  protocol: 'HTTP' | 'HTTPS';
  certificates: readonly string[];
  readonly defaultRule: string;
  defaultActions: readonly Action[];
  proxy: ListenerProxy | undefined;
}

export interface Rule {
  readonly arn: string;
  readonly listener: string;
  readonly priority: number;
  conditions: readonly RouteCondition[];
  actions: readonly Action[];
}

export interface HealthCheckSettings {
  readonly enabled: boolean;
  readonly protocol: 'HTTP' | 'HTTPS';
  readonly port: string;
  readonly path: string;
  readonly intervalSeconds: number;
  readonly timeoutSeconds: number;
  readonly healthyThreshold: number;
  readonly unhealthyThreshold: number;
  readonly matcher: string;
}

export type TargetType = 'instance' | 'ip' | 'lambda';

export interface TargetGroup {
  readonly arn: string;
  readonly name: string;
  readonly type: TargetType;
  /** Undefined, as protocol and VPC are, for a lambda group. */
  readonly port: number | undefined;
  readonly protocol: 'HTTP' | 'HTTPS' | undefined;
  readonly vpc: string | undefined;
  healthCheck: HealthCheckSettings;
  readonly attributes: Map<string, string>;
  readonly monitor: HealthMonitor;
}

/** A target group as long as its monitor, which reads its settings, is being made. */
export type UnwatchedGroup = Omit<TargetGroup, 'monitor'>;

/** Everything that the load balancing service of the lab knows, and the errors for what it does not. */
export class Store {
  readonly loadBalancers = new Map<string, LoadBalancer>();
  readonly listeners = new Map<string, Listener>();
  readonly rules = new Map<string, Rule>();
  readonly groups = new Map<string, TargetGroup>();
  /** By ARN of any of them. */
  readonly tags = new Map<string, Map<string, string>>();
  readonly #arnPrefix: string;
  #created = 0;

  constructor({ region, account }: { readonly region: string; readonly account: string }) {
    this.#arnPrefix = `arn:aws:elasticloadbalancing:${region}:${account}`;
  }

  loadBalancer(arn: string): LoadBalancer {
    return this.#find(this.loadBalancers, arn, { code: 'LoadBalancerNotFound', noun: 'load balancer' });
  }

  listener(arn: string): Listener {
    return this.#find(this.listeners, arn, { code: 'ListenerNotFound', noun: 'listener' });
  }

  rule(arn: string): Rule {
    return this.#find(this.rules, arn, { code: 'RuleNotFound', noun: 'rule' });
  }

  group(arn: string): TargetGroup {
    return this.#find(this.groups, arn, { code: 'TargetGroupNotFound', noun: 'target group' });
  }

  groupNamed(name: string): TargetGroup | undefined {
    return [...this.groups.values()].find((group) => group.name === name);
  }

  listenersOf(loadBalancer: string): Listener[] {
    return [...this.listeners.values()].filter((listener) => listener.loadBalancer === loadBalancer);
  }

  /** In order of priority. */
  rulesOf(listener: string): Rule[] {
    const rules = [...this.rules.values()].filter((rule) => rule.listener === listener);
    return rules.sort((one, other) => one.priority - other.priority);
  }

  /** The load balancers whose listeners or rules forward to a group: AWS allows one. */
  loadBalancersUsing(group: string): LoadBalancer[] {
    const using = [...this.listeners.values()].filter((listener) =>
      [listener.defaultActions, ...this.rulesOf(listener.arn).map(({ actions }) => actions)].some((actions) =>
        actions.some((action) => action.kind === 'forward' && action.groups.some((one) => one.group === group)),
      ),
    );
    return [...new Set(using.map(({ loadBalancer }) => loadBalancer))].map((arn) => this.loadBalancer(arn));
  }

  loadBalancerArn(name: string): string {
    return `${this.#arnPrefix}:loadbalancer/app/${name}/${this.#id(name)}`;
  }

  listenerArn(loadBalancer: string): string {
    return `${loadBalancer.replace(':loadbalancer/', ':listener/')}/${this.#id(loadBalancer)}`;
  }

  ruleArn(listener: string): string {
    return `${listener.replace(':listener/', ':listener-rule/')}/${this.#id(listener)}`;
  }

  groupArn(name: string): string {
    return `${this.#arnPrefix}:targetgroup/${name}/${this.#id(name)}`;
  }

  /** The 16 hex digits at the end of an ARN: no two alike, and the same in every run of the same steps. */
  #id(seed: string): string {
    this.#created += 1;
    return createHash('sha256').update(`${seed} ${this.#created}`).digest('hex').slice(0, 16);
  }

  #find<T>(all: ReadonlyMap<string, T>, arn: string, { code, noun }: { code: string; noun: string }): T {
    const found = all.get(arn);
    if (found) return found;
    if (!arn.startsWith('arn:')) throw new ServiceError('ValidationError', `'${arn}' is not a valid ${noun} ARN`);
    throw new ServiceError(code, `One or more ${noun}s not found`);
  }
}
