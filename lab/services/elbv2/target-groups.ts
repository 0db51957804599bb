import type { HealthMonitor } from '../../balancer/health-monitor.js';
import { type Input, type Operation, ServiceError } from '../../wire/service.js';
import { applyAttributes, describeAttributes, TARGET_GROUP_ATTRIBUTES } from './attributes.js';
import { number, object, oneOf, page, requiredText, text, texts, validation } from './input.js';
import type { HealthCheckSettings, Store, TargetGroup, TargetType, UnwatchedGroup } from './store.js';
import { addTags } from './tags.js';

export interface TargetGroupOperationsOptions {
  readonly store: Store;
  readonly monitorOf: (group: UnwatchedGroup) => HealthMonitor;
}

export function targetGroupOperations({ store, monitorOf }: TargetGroupOperationsOptions): {
  [name: string]: Operation;
} {
  const described = (group: TargetGroup) => ({ TargetGroups: [describe(store, group)] });
  return {
    CreateTargetGroup: (input) => described(create(store, input, monitorOf)),
    DescribeTargetGroups: (input) => {
      const { items, next } = page(select(store, input), input);
      return { TargetGroups: items.map((group) => describe(store, group)), ...next };
    },
    ModifyTargetGroup: (input) => {
      const group = store.group(requiredText(input, 'TargetGroupArn'));
      group.healthCheck = healthCheck(input, group.healthCheck);
      return described(group);
    },
    DeleteTargetGroup: (input) => remove(store, requiredText(input, 'TargetGroupArn')),
    DescribeTargetGroupAttributes: (input) => {
      const { attributes } = store.group(requiredText(input, 'TargetGroupArn'));
      return { Attributes: describeAttributes(attributes, TARGET_GROUP_ATTRIBUTES) };
    },
    ModifyTargetGroupAttributes: (input) => {
      const { attributes } = store.group(requiredText(input, 'TargetGroupArn'));
      applyAttributes(attributes, input, { known: TARGET_GROUP_ATTRIBUTES, noun: 'Target group' });
      return { Attributes: describeAttributes(attributes, TARGET_GROUP_ATTRIBUTES) };
    },
  };
}

/** Defaults of a group of instances over HTTP: user guide and model. Lambda groups are checked every 35 s if at all. */
const DEFAULT_CHECK: HealthCheckSettings = {
  enabled: true,
  protocol: 'HTTP',
  port: 'traffic-port',
  path: '/',
  intervalSeconds: 30,
  timeoutSeconds: 5,
  healthyThreshold: 5,
  unhealthyThreshold: 2,
  matcher: '200',
};
const DEFAULT_LAMBDA_CHECK: HealthCheckSettings = {
  ...DEFAULT_CHECK,
  enabled: false,
  intervalSeconds: 35,
  timeoutSeconds: 30,
};

function create(store: Store, input: Input, monitorOf: (group: UnwatchedGroup) => HealthMonitor): TargetGroup {
  const settings = parse(input);
  const known = store.groupNamed(settings.name);
  if (known) return sameOrDuplicate(known, settings);
  const unwatched = { ...settings, arn: store.groupArn(settings.name), attributes: new Map<string, string>() };
  const group = Object.assign(unwatched, { monitor: monitorOf(unwatched) });
  store.groups.set(group.arn, group);
  addTags(store, group.arn, input);
  return group;
}

type Settings = Omit<UnwatchedGroup, 'arn' | 'attributes'>;

function parse(input: Input): Settings {
  const name = groupName(requiredText(input, 'Name'));
  const type = oneOf<TargetType>(input, 'TargetType', ['instance', 'ip', 'lambda']) ?? 'instance';
  const version = text(input, 'ProtocolVersion') ?? 'HTTP1';
  if (version !== 'HTTP1')
    throw new ServiceError('InvalidConfigurationRequest', `The lab has no targets that speak ${version}`);
  if (type === 'lambda') {
    const check = healthCheck(input, DEFAULT_LAMBDA_CHECK);
    return { name, type, port: undefined, protocol: undefined, vpc: undefined, healthCheck: check };
  }
  const protocol = requiredText(input, 'Protocol');
  if (protocol !== 'HTTP')
    throw new ServiceError('InvalidConfigurationRequest', 'The load balancer of the lab speaks HTTP to its targets');
  const port = number(input, 'Port', { min: 1, max: 65535 });
  if (port === undefined) throw validation('A port must be specified');
  const vpc = text(input, 'VpcId');
  if (!vpc) throw validation('A VPC ID must be specified');
  return { name, type, port, protocol, vpc, healthCheck: healthCheck(input, DEFAULT_CHECK) };
}

function groupName(name: string): string {
  if (name.length > 32) throw validation(`Target group name '${name}' cannot be longer than '32' characters`);
  if (!/^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?$/.test(name))
    throw validation(
      `Target group name '${name}' can only contain characters that are alphanumeric characters and hyphens(-) and cannot begin or end with a hyphen`,
    );
  return name;
}

function healthCheck(input: Input, before: HealthCheckSettings): HealthCheckSettings {
  const check: HealthCheckSettings = {
    enabled: (text(input, 'HealthCheckEnabled') ?? String(before.enabled)) === 'true',
    protocol: oneOf(input, 'HealthCheckProtocol', ['HTTP', 'HTTPS'] as const) ?? before.protocol,
    port: checkPort(text(input, 'HealthCheckPort') ?? before.port),
    path: text(input, 'HealthCheckPath') ?? before.path,
    intervalSeconds: number(input, 'HealthCheckIntervalSeconds', { min: 5, max: 300 }) ?? before.intervalSeconds,
    timeoutSeconds: number(input, 'HealthCheckTimeoutSeconds', { min: 2, max: 120 }) ?? before.timeoutSeconds,
    healthyThreshold: number(input, 'HealthyThresholdCount', { min: 2, max: 10 }) ?? before.healthyThreshold,
    unhealthyThreshold: number(input, 'UnhealthyThresholdCount', { min: 2, max: 10 }) ?? before.unhealthyThreshold,
    matcher: matcher(text(object(input, 'Matcher') ?? {}, 'HttpCode') ?? before.matcher),
  };
  if (check.intervalSeconds <= check.timeoutSeconds)
    throw validation('Health check interval must be greater than the timeout.');
  if (!check.path.startsWith('/') || check.path.length > 1024)
    throw validation(`Health check path '${check.path}' must begin with a '/' character and have 1024 at most`);
  return check;
}

function checkPort(port: string): string {
  const valid = port === 'traffic-port' || (/^\d+$/.test(port) && Number(port) >= 1 && Number(port) <= 65535);
  if (!valid) throw validation(`Health check port '${port}' must be between '1' and '65535' or 'traffic-port'`);
  return port;
}

function matcher(codes: string): string {
  const wrong = codes.split(',').find((part) => !/^\d{3}(-\d{3})?$/.test(part.trim()));
  if (wrong !== undefined) throw validation(`Health check matcher HTTP code '${wrong}' is not valid`);
  const outside = codes.split(/[,-]/).find((code) => Number(code) < 200 || Number(code) > 499);
  if (outside !== undefined)
    throw validation(`Health check matcher HTTP code '${outside}' must be within '200-499' inclusive`);
  return codes;
}

/** Creating what exists already with the same settings succeeds, as on AWS. */
function sameOrDuplicate(known: TargetGroup, wanted: Settings): TargetGroup {
  const { name, type, port, protocol, vpc, healthCheck: check } = known;
  if (JSON.stringify({ name, type, port, protocol, vpc, healthCheck: check }) === JSON.stringify(wanted)) return known;
  throw new ServiceError(
    'DuplicateTargetGroupName',
    `A target group with the same name '${wanted.name}' exists, but with different settings`,
  );
}

function select(store: Store, input: Input): TargetGroup[] {
  const arns = texts(input, 'TargetGroupArns');
  if (arns) return arns.map((arn) => store.group(arn));
  const names = texts(input, 'Names');
  if (names) return names.map((name) => named(store, name));
  const loadBalancer = text(input, 'LoadBalancerArn');
  const all = [...store.groups.values()];
  if (!loadBalancer) return all;
  const wanted = store.loadBalancer(loadBalancer);
  return all.filter(({ arn }) => store.loadBalancersUsing(arn).includes(wanted));
}

function named(store: Store, name: string): TargetGroup {
  const group = store.groupNamed(name);
  if (!group) throw new ServiceError('TargetGroupNotFound', 'One or more target groups not found');
  return group;
}

/** Deleting an unknown group succeeds, as on AWS. */
function remove(store: Store, arn: string): object {
  const group = store.groups.get(arn);
  if (!group) return {};
  if (store.loadBalancersUsing(arn).length > 0)
    throw new ServiceError('ResourceInUse', `Target group '${arn}' is currently in use by a listener or a rule`);
  group.monitor.close();
  store.groups.delete(arn);
  store.tags.delete(arn);
  return {};
}

function describe(store: Store, group: TargetGroup): unknown {
  const { healthCheck: check } = group;
  const traffic =
    group.type === 'lambda' ? {} : { Protocol: group.protocol, Port: group.port, ProtocolVersion: 'HTTP1' };
  return {
    TargetGroupArn: group.arn,
    TargetGroupName: group.name,
    ...traffic,
    ...(group.vpc ? { VpcId: group.vpc } : {}),
    ...(group.type === 'lambda' ? {} : { HealthCheckProtocol: check.protocol, HealthCheckPort: check.port }),
    HealthCheckEnabled: check.enabled,
    HealthCheckIntervalSeconds: check.intervalSeconds,
    HealthCheckTimeoutSeconds: check.timeoutSeconds,
    HealthyThresholdCount: check.healthyThreshold,
    UnhealthyThresholdCount: check.unhealthyThreshold,
    HealthCheckPath: check.path,
    Matcher: { HttpCode: check.matcher },
    LoadBalancerArns: store.loadBalancersUsing(group.arn).map(({ arn }) => arn),
    TargetType: group.type,
    IpAddressType: 'ipv4',
  };
}
