import type { Lab } from './lab.js';
import { DEFAULT_IDS } from './model/network.js';

/** What a user has in the account before the first deploy. */
export interface StackOptions {
  readonly name: string;
  /** Port of the targets. */
  readonly port: number;
  readonly healthPath: string;
  readonly intervalSeconds: number;
  readonly timeoutSeconds: number;
  readonly healthyThreshold: number;
  readonly unhealthyThreshold: number;
  readonly deregistrationDelaySeconds: number;
  /** Instances to register; all hosts by default. */
  readonly hosts?: readonly string[];
}

/** A repository, and a load balancer with a listener and a target group, as in every tutorial. */
export interface Stack {
  readonly name: string;
  readonly targetGroup: string;
  readonly loadBalancer: string;
  /** Where the listener on port 80 is reached from this machine. */
  readonly url: string;
}

export const defaultStack: StackOptions = {
  name: 'shop',
  port: 8080,
  healthPath: '/health',
  intervalSeconds: 5,
  timeoutSeconds: 2,
  healthyThreshold: 2,
  unhealthyThreshold: 2,
  deregistrationDelaySeconds: 10,
};

export async function createStack(lab: Lab, given: Partial<StackOptions> = {}): Promise<Stack> {
  const options = { ...defaultStack, ...given };
  await lab.call('ecr', 'CreateRepository', { repositoryName: options.name });
  const targetGroup = await createTargetGroup(lab, options);
  const { loadBalancer, url } = await createLoadBalancer(lab, options.name, targetGroup);
  return { name: options.name, targetGroup, loadBalancer, url };
}

/** A target group with the hosts registered. */
export async function createTargetGroup(lab: Lab, options: StackOptions): Promise<string> {
  const created = await lab.call('elasticloadbalancing', 'CreateTargetGroup', {
    Name: `${options.name}-web`,
    Protocol: 'HTTP',
    Port: String(options.port),
    VpcId: lab.network.vpc.id,
    TargetType: 'instance',
    HealthCheckPath: options.healthPath,
    HealthCheckIntervalSeconds: String(options.intervalSeconds),
    HealthCheckTimeoutSeconds: String(options.timeoutSeconds),
    HealthyThresholdCount: String(options.healthyThreshold),
    UnhealthyThresholdCount: String(options.unhealthyThreshold),
  });
  const arn = first(created.TargetGroups, 'TargetGroupArn');
  const delay = { Key: 'deregistration_delay.timeout_seconds', Value: String(options.deregistrationDelaySeconds) };
  await lab.call('elasticloadbalancing', 'ModifyTargetGroupAttributes', { TargetGroupArn: arn, Attributes: [delay] });
  const targets = (options.hosts ?? lab.hosts.map(({ id }) => id)).map((Id) => ({ Id }));
  if (targets.length > 0) {
    await lab.call('elasticloadbalancing', 'RegisterTargets', { TargetGroupArn: arn, Targets: targets });
  }
  return arn;
}

async function createLoadBalancer(
  lab: Lab,
  name: string,
  targetGroup: string,
): Promise<{ loadBalancer: string; url: string }> {
  const created = await lab.call('elasticloadbalancing', 'CreateLoadBalancer', {
    Name: name,
    Subnets: lab.network.subnets.map(({ id }) => id),
    SecurityGroups: [DEFAULT_IDS.loadBalancerGroup],
  });
  const loadBalancer = first(created.LoadBalancers, 'LoadBalancerArn');
  await lab.call('elasticloadbalancing', 'CreateListener', {
    LoadBalancerArn: loadBalancer,
    Protocol: 'HTTP',
    Port: '80',
    DefaultActions: [{ Type: 'forward', TargetGroupArn: targetGroup }],
  });
  const listener = lab.loadBalancer.listeners().find((it) => it.loadBalancer === loadBalancer);
  if (!listener) throw new Error(`The load balancer ${name} has no listener.`);
  return { loadBalancer, url: listener.url };
}

function first(list: unknown, key: string): string {
  const value = Array.isArray(list) ? (list[0] as { [key: string]: unknown })[key] : undefined;
  if (typeof value !== 'string') throw new Error(`The lab answered without ${key}.`);
  return value;
}
