import type { TargetId } from '../../balancer/health-monitor.js';
import type { Instances } from '../../model/instances.js';
import { type Input, type Operation, ServiceError } from '../../wire/service.js';
import { number, objects, requiredObjects, requiredText, texts, validation } from './input.js';
import type { Store, TargetGroup } from './store.js';

export interface TargetOperationsOptions {
  readonly store: Store;
  readonly instances: Instances;
}

export function targetOperations({ store, instances }: TargetOperationsOptions): { [name: string]: Operation } {
  const groupOf = (input: Input) => store.group(requiredText(input, 'TargetGroupArn'));
  return {
    RegisterTargets: (input) => {
      const group = groupOf(input);
      const targets = requiredObjects(input, 'Targets').map((target) => parse(group, target));
      refuseUnfit(group, targets, instances);
      for (const target of targets) group.monitor.register(target);
      return {};
    },
    DeregisterTargets: (input) => {
      const group = groupOf(input);
      const targets = requiredObjects(input, 'Targets').map((target) => parse(group, target));
      for (const target of targets) group.monitor.deregister(target);
      return {};
    },
    DescribeTargetHealth: (input) => {
      const group = groupOf(input);
      const asked = objects(input, 'Targets')?.map((target) => parse(group, target));
      const include = texts(input, 'Include') ?? [];
      const anomalies = include.includes('AnomalyDetection') || include.includes('All');
      const targets = asked && asked.length > 0 ? asked : group.monitor.targets();
      return { TargetHealthDescriptions: targets.map((target) => describe(group, target, anomalies)) };
    },
  };
}

/** Targets per target group: quota. */
const MAX_TARGETS = 1000;

function parse(group: TargetGroup, input: Input): TargetId {
  const id = requiredText(input, 'Id');
  if (group.type === 'lambda') return { id, port: 0 };
  const port = number(input, 'Port', { min: 1, max: 65535 }) ?? group.port ?? 0;
  if (group.type === 'instance' && !/^i-[0-9a-f]{8}([0-9a-f]{9})?$/.test(id))
    throw validation(`Instance ID '${id}' is not valid`);
  if (group.type === 'ip' && !/^\d{1,3}(\.\d{1,3}){3}$/.test(id))
    throw validation(`The IP address '${id}' is not a valid IPv4 address`);
  return { id, port };
}

function refuseUnfit(group: TargetGroup, targets: readonly TargetId[], instances: Instances): void {
  if (group.monitor.targets().length + targets.length > MAX_TARGETS)
    throw new ServiceError('TooManyTargets', `Only ${MAX_TARGETS} targets can be registered with a target group`);
  if (group.type !== 'instance') return;
  const named = (unfit: readonly TargetId[]) => unfit.map(({ id }) => `'${id}'`).join(', ');
  const stopped = targets.filter(({ id }) => instances.get(id)?.state !== 'running');
  if (stopped.length > 0)
    throw new ServiceError(
      'InvalidTarget',
      `The following targets are not in a running state and cannot be registered: ${named(stopped)}`,
    );
  const foreign = targets.filter(({ id }) => instances.get(id)?.vpc !== group.vpc);
  if (foreign.length > 0)
    throw new ServiceError(
      'InvalidTarget',
      `The following targets are not in the target group VPC '${group.vpc}': ${named(foreign)}`,
    );
}

function describe(group: TargetGroup, target: TargetId, anomalies: boolean): unknown {
  const { port } = group.healthCheck;
  const lambda = group.type === 'lambda';
  return {
    Target: lambda ? { Id: target.id } : { Id: target.id, Port: target.port },
    ...(lambda ? {} : { HealthCheckPort: port === 'traffic-port' ? String(target.port) : port }),
    TargetHealth: group.monitor.health(target),
    ...(anomalies ? { AnomalyDetection: { Result: 'normal', MitigationInEffect: 'no' } } : {}),
  };
}
