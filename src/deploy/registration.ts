import { isTransient } from '../aws/errors.js';
import { formatDuration } from '../duration.js';
import { type TargetHealth, targetKey } from '../gate/target.js';
import type { FleetHost, HostTarget } from './fleet.js';
import type { Plan } from './plan.js';
import type { World } from './world.js';

/** DescribeTargetHealth shows a registration within seconds; AWS names no bound (our choice). */
const LOOK_SECONDS = 2;
/** How long after the deregistration delay a target may go on being shown as draining (our choice). */
const DRAINING_GRACE_SECONDS = 30;
/** Besides the SDK's own, of a call that is throttled or gets no answer: a wave under way is not given up for it. */
const HEALTH_ATTEMPTS = 5;

/** Takes the targets of the hosts out of service and waits until their open requests had the time they were promised. */
export async function takeOut(world: World, plan: Plan, hosts: readonly FleetHost[]): Promise<void> {
  const serving = await healthyTargets(world, plan, hosts);
  for (const [groupArn, targets] of byGroup(hosts)) await world.targetGroups.deregister(groupArn, targets);
  if (serving === 0) {
    world.log.info(`${names(hosts)}: out of the load balancer; nothing to drain, since no target was healthy.`);
    return;
  }
  world.log.info(`${names(hosts)}: out of the load balancer, draining for ${formatDuration(plan.drainSeconds)}.`);
  await world.clock.sleep(plan.drainSeconds * 1000, world.signal);
}

/**
 * Registers the targets of the hosts, and again as long as they are shown as draining: AWS does not document that an
 * instance can be registered again before its deregistration delay is over. Gives back when that was, in milliseconds.
 */
export async function putIn(world: World, plan: Plan, hosts: readonly FleetHost[]): Promise<number> {
  const longest = Math.max(...plan.groups.map(({ group }) => group.deregistrationDelaySeconds));
  const deadline = world.clock.now() + (longest + DRAINING_GRACE_SECONDS) * 1000;
  for (;;) {
    const registeredAt = world.clock.now();
    for (const [groupArn, targets] of byGroup(hosts)) await world.targetGroups.register(groupArn, targets);
    if ((await allRegistered(world, hosts)) || world.clock.now() > deadline) {
      world.log.info(`${names(hosts)}: registered.`);
      return registeredAt;
    }
    await world.clock.sleep(LOOK_SECONDS * 1000, world.signal);
  }
}

/** How many targets of the hosts the load balancer calls healthy now. */
export async function healthyTargets(world: World, plan: Plan, hosts: readonly FleetHost[]): Promise<number> {
  const wanted = new Set(hosts.flatMap(({ targets }) => targets.map(keyOf)));
  let count = 0;
  for (const { group } of plan.groups) {
    const health = await healthOf(world, group.arn);
    count += health.filter((it) => it.state === 'healthy' && wanted.has(keyOf({ ...it, groupArn: group.arn }))).length;
  }
  return count;
}

/** A registration while the target was still draining may have had no effect; then it is draining, or gone. */
async function allRegistered(world: World, hosts: readonly FleetHost[]): Promise<boolean> {
  for (const [groupArn, targets] of byGroup(hosts)) {
    const health = await healthOf(world, groupArn);
    const registered = new Set(health.filter(({ state }) => state !== 'draining').map(targetKey));
    if (!targets.every((target) => registered.has(targetKey(target)))) return false;
  }
  return true;
}

async function healthOf(world: World, groupArn: string): Promise<TargetHealth[]> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await world.targetGroups.health(groupArn, world.signal);
    } catch (error) {
      if (attempt === HEALTH_ATTEMPTS || !isTransient(error)) throw error;
      await world.clock.sleep(attempt * LOOK_SECONDS * 1000, world.signal);
    }
  }
}

function byGroup(hosts: readonly FleetHost[]): Map<string, HostTarget[]> {
  const groups = new Map<string, HostTarget[]>();
  for (const target of hosts.flatMap(({ targets }) => targets)) {
    groups.set(target.groupArn, [...(groups.get(target.groupArn) ?? []), target]);
  }
  return groups;
}

function keyOf(target: HostTarget): string {
  return `${target.groupArn} ${targetKey(target)}`;
}

export function names(hosts: readonly FleetHost[]): string {
  return hosts.map(({ id }) => id).join(', ');
}
