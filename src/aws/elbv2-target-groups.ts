import {
  DeregisterTargetsCommand,
  DescribeTargetGroupAttributesCommand,
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  type ElasticLoadBalancingV2Client,
  type TargetGroup as ElbTargetGroup,
  RegisterTargetsCommand,
  type TargetGroupAttribute,
  type TargetHealthDescription,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import type { HealthCheck, TargetGroup, TargetHealth, TargetId } from '../gate/target.js';
import { problem } from '../problem.js';
import { toProblems, wireCode } from './errors.js';
import type { TargetGroups } from './target-groups.js';

/**
 * Target groups of an account and region, over ELBv2. Throws ProblemsErrors: TARGET_GROUP_NOT_FOUND, TARGET_INVALID (a
 * registration that AWS refuses), INPUT_INVALID (before any call), and those of `toProblems`.
 */
export function createTargetGroups(client: ElasticLoadBalancingV2Client): TargetGroups {
  return {
    describe: (nameOrArn) => describe(client, nameOrArn),
    health: (arn, signal) => health(client, arn, signal),
    register: (arn, targets) => register(client, arn, targets),
    deregister: (arn, targets) => deregister(client, arn, targets),
  };
}

async function describe(client: ElasticLoadBalancingV2Client, nameOrArn: string): Promise<TargetGroup> {
  const name = nameOrArn.trim();
  const query = await toQuery(client, name);
  const group = await calling('DescribeTargetGroups', name, () => client.send(new DescribeTargetGroupsCommand(query)));
  const [found] = group.TargetGroups ?? [];
  if (!found?.TargetGroupArn) throw notFound(name);
  const request = new DescribeTargetGroupAttributesCommand({ TargetGroupArn: found.TargetGroupArn });
  const { Attributes } = await calling('DescribeTargetGroupAttributes', name, () => client.send(request));
  return toTargetGroup(found, found.TargetGroupArn, Attributes ?? []);
}

async function health(
  client: ElasticLoadBalancingV2Client,
  arn: string,
  signal: AbortSignal | undefined,
): Promise<TargetHealth[]> {
  const request = new DescribeTargetHealthCommand({ TargetGroupArn: arn });
  const { TargetHealthDescriptions } = await calling('DescribeTargetHealth', arn, () =>
    client.send(request, signal ? { abortSignal: signal } : {}),
  );
  return (TargetHealthDescriptions ?? []).map(toTargetHealth);
}

async function register(
  client: ElasticLoadBalancingV2Client,
  arn: string,
  targets: readonly TargetId[],
): Promise<void> {
  if (targets.length === 0) return;
  const request = new RegisterTargetsCommand({ TargetGroupArn: arn, Targets: targets.map(toDescription) });
  await calling('RegisterTargets', arn, () => client.send(request));
}

async function deregister(
  client: ElasticLoadBalancingV2Client,
  arn: string,
  targets: readonly TargetId[],
): Promise<void> {
  if (targets.length === 0) return;
  const request = new DeregisterTargetsCommand({ TargetGroupArn: arn, Targets: targets.map(toDescription) });
  await calling('DeregisterTargets', arn, () => client.send(request));
}

async function calling<T>(operation: string, group: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const code = wireCode(error);
    if (code === 'TargetGroupNotFound') throw notFound(group);
    if (code === 'InvalidTarget') throw invalidTarget(group, error);
    throw toProblems(error, `elasticloadbalancing:${operation}`);
  }
}

function notFound(group: string): Error {
  return problem('TARGET_GROUP_NOT_FOUND', `There is no target group '${group}' in this account and region.`, {
    fix: 'Check the name or ARN, aws-region and the account of the role (aws elbv2 describe-target-groups).',
  });
}

function invalidTarget(group: string, error: unknown): Error {
  return problem(
    'TARGET_INVALID',
    `The target group '${group}' does not take a target.`,
    {
      cause: error instanceof Error ? error.message : String(error),
      fix: "Only running instances of the target group's VPC can be registered.",
    },
    { cause: error },
  );
}

/** The form of target group names and ARNs is that of CreateTargetGroup. */
const NAME = /^(?!-)[A-Za-z0-9-]{1,32}(?<!-)$/;
const ARN = /^arn:aws[a-z-]*:elasticloadbalancing:([a-z0-9-]+):\d{12}:targetgroup\/[A-Za-z0-9-]{1,32}\/[0-9a-f]+$/;

async function toQuery(client: ElasticLoadBalancingV2Client, nameOrArn: string) {
  if (!nameOrArn.startsWith('arn:')) {
    if (NAME.test(nameOrArn)) return { Names: [nameOrArn] };
    throw invalidInput(`'${nameOrArn}' is no target group name.`, 'Names have 1 to 32 letters, digits and hyphens.');
  }
  const region = ARN.exec(nameOrArn)?.[1];
  if (region === undefined) {
    const form = 'arn:aws:elasticloadbalancing:REGION:ACCOUNT:targetgroup/NAME/ID';
    throw invalidInput(`'${nameOrArn}' is no target group ARN.`, `Its form is ${form}.`);
  }
  const here = await client.config.region();
  if (region === here) return { TargetGroupArns: [nameOrArn] };
  throw invalidInput(`The target group is in ${region}, this run in ${here}.`, `Set aws-region: ${region}.`);
}

function invalidInput(message: string, fix: string): Error {
  return problem('INPUT_INVALID', message, { where: 'target-group', fix });
}

function toTargetGroup(group: ElbTargetGroup, arn: string, attributes: readonly TargetGroupAttribute[]): TargetGroup {
  const seconds = (key: string, absent: number) => {
    const text = attributes.find(({ Key }) => Key === key)?.Value;
    return text === undefined ? absent : Number(text);
  };
  return {
    arn,
    name: group.TargetGroupName ?? '',
    port: group.Port ?? 0,
    protocol: group.Protocol ?? '',
    type: group.TargetType ?? '',
    ...(group.VpcId ? { vpc: group.VpcId } : {}),
    loadBalancers: group.LoadBalancerArns ?? [],
    healthCheck: toHealthCheck(group),
    // The defaults of the service; it lists both attributes for every group of instances.
    deregistrationDelaySeconds: seconds('deregistration_delay.timeout_seconds', 300),
    slowStartSeconds: seconds('slow_start.duration_seconds', 0),
  };
}

/** Where the service leaves a field out its own default for groups of instances holds. */
function toHealthCheck(group: ElbTargetGroup): HealthCheck {
  return {
    protocol: group.HealthCheckProtocol ?? 'HTTP',
    port: group.HealthCheckPort ?? 'traffic-port',
    path: group.HealthCheckPath ?? '/',
    matcher: group.Matcher?.HttpCode ?? group.Matcher?.GrpcCode ?? '200',
    intervalSeconds: group.HealthCheckIntervalSeconds ?? 30,
    timeoutSeconds: group.HealthCheckTimeoutSeconds ?? 5,
    healthyThreshold: group.HealthyThresholdCount ?? 5,
    unhealthyThreshold: group.UnhealthyThresholdCount ?? 2,
  };
}

function toTargetHealth({ Target, TargetHealth: found }: TargetHealthDescription): TargetHealth {
  return {
    instance: Target?.Id ?? '',
    port: Target?.Port ?? 0,
    state: found?.State ?? '',
    ...(found?.Reason ? { reason: found.Reason } : {}),
    ...(found?.Description ? { description: found.Description } : {}),
    ...(Target?.AvailabilityZone ? { zone: Target.AvailabilityZone } : {}),
  };
}

function toDescription({ instance, port }: TargetId) {
  return { Id: instance, Port: port };
}
