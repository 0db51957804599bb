import type { InstanceFact } from '../aws/instances.js';
import { projectName } from '../compose/compile.js';
import type { TargetGroup, TargetHealth, TargetId } from '../gate/target.js';
import { clusterProblems } from '../host/hosts.js';
import { type Problem, ProblemCollector, problem } from '../problem.js';
import type { DeployOptions, FleetChoice } from './options.js';
import type { World } from './world.js';

/** A target group with what it knew of its targets when the run began: the baseline. */
export interface Group {
  readonly service: string | undefined;
  readonly group: TargetGroup;
  readonly baseline: readonly TargetHealth[];
}

/** An instance that the deploy changes, with its targets in every group. */
export interface FleetHost {
  readonly id: string;
  readonly zone: string;
  /** As EC2 spells it; empty where EC2 may not be asked. */
  readonly architecture: string;
  /** All its targets were healthy when the run began. */
  readonly healthy: boolean;
  readonly targets: readonly HostTarget[];
}

export interface HostTarget extends TargetId {
  readonly groupArn: string;
}

export async function readGroup(world: World, choice: { service?: string; nameOrArn: string }): Promise<Group> {
  const group = await world.targetGroups.describe(choice.nameOrArn);
  if (group.type !== 'instance') throw wrongType(group);
  const health = await world.targetGroups.health(group.arn, world.signal);
  return { service: choice.service, group, baseline: health.filter(({ state }) => state !== 'draining') };
}

function wrongType({ name, type }: TargetGroup): Error {
  return problem('TARGET_GROUP_TYPE', `Target group ${name} is of type ${type}; only instance can be deployed to.`, {
    fix: `Create a target group of type instance and let the listener forward to it instead of ${name}; the type can not be changed.`,
  });
}

/** What is wrong with a group whose targets can be read all the same. */
export function groupProblems({ name, loadBalancers }: TargetGroup): Problem[] {
  if (loadBalancers.length > 0) return [];
  return [
    {
      code: 'TARGET_GROUP_NOT_IN_USE',
      message: `Target group ${name} is behind no load balancer, so its targets are never checked.`,
      fix: `Let a listener or one of its rules forward to ${name}.`,
    },
  ];
}

/** The hosts of the fleet with their targets. A host that is not registered yet gets a target on the group's port. */
export async function readFleet(world: World, choice: FleetChoice, groups: readonly Group[]): Promise<FleetHost[]> {
  const ids = await instanceIds(world, choice, groups);
  if (ids.length === 0) throw emptyFleet(choice, groups);
  const facts = await describeInstances(world, ids);
  refuseStopped(facts);
  return ids.map((id) =>
    toHost(
      id,
      facts.find((fact) => fact.id === id),
      groups,
    ),
  );
}

async function instanceIds(world: World, choice: FleetChoice, groups: readonly Group[]): Promise<string[]> {
  switch (choice.kind) {
    case 'registered':
      return [...new Set(groups.flatMap(({ baseline }) => baseline.map(({ instance }) => instance)))];
    case 'instances':
      return [...choice.ids];
    case 'tag':
      return (await world.instances.byTag(choice.key, choice.value)).map(({ id }) => id);
    default:
      return choice satisfies never;
  }
}

function emptyFleet(choice: FleetChoice, groups: readonly Group[]): Error {
  const names = groups.map(({ group }) => group.name).join(', ');
  if (choice.kind === 'tag') {
    return problem('FLEET_EMPTY', `No running instance carries the tag ${choice.key}=${choice.value}.`, {
      fix: 'Correct the tag, or start the instances.',
    });
  }
  return problem('FLEET_EMPTY', `No instance is registered in ${names}.`, {
    fix: 'Register the instances (aws elbv2 register-targets), or name them with the input fleet.',
  });
}

/** Zones and architectures make a better plan; a role that may not see them can still deploy. */
async function describeInstances(world: World, ids: readonly string[]): Promise<InstanceFact[]> {
  try {
    return await world.instances.byIds(ids);
  } catch (error) {
    if (!isDenied(error)) throw error;
    world.log.info('The role may not call ec2:DescribeInstances: zones and architecture of the hosts are not known.');
    return [];
  }
}

function isDenied(error: unknown): boolean {
  const problems = (error as { problems?: readonly Problem[] }).problems ?? [];
  return problems.some(({ code }) => code === 'AWS_ACCESS_DENIED');
}

function refuseStopped(facts: readonly InstanceFact[]): void {
  const stopped = facts.filter(({ state }) => state !== 'running');
  if (stopped.length === 0) return;
  const names = stopped.map(({ id, state }) => `${id} is ${state}`).join(', ');
  throw problem('INSTANCE_NOT_RUNNING', `${names}.`, {
    fix: 'Start the instance, or deregister it from the target group.',
  });
}

function toHost(id: string, fact: InstanceFact | undefined, groups: readonly Group[]): FleetHost {
  const targets = groups.flatMap(({ group, baseline }) => {
    const registered = baseline.filter(({ instance }) => instance === id).map(({ port }) => port);
    return (registered.length > 0 ? registered : [group.port]).map((port) => ({
      instance: id,
      port,
      groupArn: group.arn,
    }));
  });
  return {
    id,
    zone: fact?.zone ?? '',
    architecture: fact?.architecture ?? '',
    healthy: targets.every((target) => isHealthy(target, groups)),
    targets,
  };
}

function isHealthy(target: HostTarget, groups: readonly Group[]): boolean {
  const health = groups.find(({ group }) => group.arn === target.groupArn)?.baseline ?? [];
  return health.some(
    ({ instance, port, state }) => instance === target.instance && port === target.port && state === 'healthy',
  );
}

/**
 * Every host must be reachable through SSM and have what a deploy needs; all that is missing is named at once. Gives back
 * the hosts that serve a release of this app.
 */
export async function requireReady(
  world: World,
  options: DeployOptions,
  fleet: readonly FleetHost[],
): Promise<ReadonlySet<string>> {
  const found = new ProblemCollector();
  const managed = await world.runCommand.managed(fleet.map(({ id }) => id));
  const online = managed.filter(({ ping }) => ping === 'Online').map(({ instance }) => instance);
  await found.attempt(() => refuseUnmanaged(fleet, online));
  const { app, environment } = options;
  const project = projectName(app, environment);
  const preflight = () => world.hosts.preflight(online, { app, environment, project }, world.signal);
  const outcomes = (await found.attempt(preflight)) ?? [];
  found.add(...clusterProblems(outcomes));
  found.throwIfAny();
  return new Set(outcomes.filter(({ report }) => report?.current).map(({ instance }) => instance));
}

function refuseUnmanaged(fleet: readonly FleetHost[], online: readonly string[]): void {
  const missing = fleet.filter(({ id }) => !online.includes(id)).map(({ id }) => id);
  if (missing.length === 0) return;
  throw problem('HOST_NOT_MANAGED', `SSM can not reach ${missing.join(', ')}.`, {
    cause: 'The SSM agent does not run there, has no way to the SSM endpoints, or lacks the permission to register.',
    fix: 'Attach an instance profile with AmazonSSMManagedInstanceCore and start amazon-ssm-agent on the host.',
  });
}
