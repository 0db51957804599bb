import { formatDuration } from '../duration.js';
import { gate, type Inspect } from '../gate/loop.js';
import type {
  ContainerObservation,
  ExpectedContainer,
  TargetProof,
  Change as WatchedChange,
  WatchedTarget,
} from '../gate/watched.js';
import type { HostOutcome } from '../host/hosts.js';
import { clusterProblems } from '../host/hosts.js';
import type { Log } from '../log.js';
import { type Problem, ProblemsError } from '../problem.js';
import type { FleetHost } from './fleet.js';
import type { Plan } from './plan.js';
import { healthyTargets, names, putIn, takeOut } from './registration.js';
import type { World } from './world.js';

/** What happens on the hosts of a wave: the new release, or the one before. */
export interface Change {
  /** Replaces the containers; one outcome a host. */
  apply(hosts: readonly FleetHost[]): Promise<readonly HostOutcome[]>;
  /** Looks at the containers that run now; one outcome a host. */
  look(hosts: readonly FleetHost[], signal: AbortSignal): Promise<readonly HostOutcome[]>;
  /** The digest that a service must run, where it is known before the host says. */
  digest(service: string): string | undefined;
  /** Hosts on which nothing ran before: a target there that was not healthy has no old `healthy` to repeat. */
  readonly vacant: ReadonlySet<string>;
  /** The services that hold the targets' ports. */
  readonly web: readonly string[];
}

export type RolloutResult =
  | { readonly state: 'proven'; readonly targets: readonly TargetProof[] }
  | {
      readonly state: 'failed';
      readonly problems: readonly Problem[];
      readonly targets: readonly TargetProof[];
      /** Hosts that were changed or taken out, in the order of their waves; the last wave is the one that failed. */
      readonly changed: readonly (readonly FleetHost[])[];
    };

export type WaveResult =
  | Omit<Extract<RolloutResult, { state: 'failed' }>, 'changed'>
  | Extract<RolloutResult, { state: 'proven' }>;

/** Changes the fleet wave by wave and stops at the first wave that is not proven. */
export async function rollOut(world: World, plan: Plan, change: Change): Promise<RolloutResult> {
  const targets: TargetProof[] = [];
  for (const [index, wave] of plan.waves.entries()) {
    world.log.info(`Wave ${index + 1} of ${plan.waves.length}: ${names(wave)}`);
    const result = await runWave(world, plan, wave, change);
    targets.push(...result.targets);
    if (result.state === 'failed') return { ...result, targets, changed: plan.waves.slice(0, index + 1) };
  }
  return { state: 'proven', targets };
}

/** Changes the hosts of one wave, and waits until the gate has decided on them. */
export async function runWave(
  world: World,
  plan: Plan,
  wave: readonly FleetHost[],
  change: Change,
): Promise<WaveResult> {
  try {
    return plan.strategy === 'rolling'
      ? await roll(world, plan, wave, change)
      : await recreate(world, plan, wave, change);
  } catch (error) {
    if (!(error instanceof ProblemsError)) throw error;
    return { state: 'failed', problems: error.problems, targets: [] };
  }
}

/** Out of the load balancer, drained, replaced, back in, gated. */
async function roll(world: World, plan: Plan, wave: readonly FleetHost[], change: Change): Promise<WaveResult> {
  let isOut = true;
  try {
    await takeOut(world, plan, wave);
    const outcomes = await applyAll(world, wave, change);
    const at = await putIn(world, plan, wave);
    isOut = false;
    return await gateWave(world, plan, wave, change, { kind: 'registered', at, outcomes });
  } finally {
    if (isOut) await putBack(world, plan, wave);
  }
}

/** Replaced where it stands; nothing is believed before the observation window is over. */
async function recreate(world: World, plan: Plan, wave: readonly FleetHost[], change: Change): Promise<WaveResult> {
  const idle = (await healthyTargets(world, plan, wave)) === 0 && wave.every(({ id }) => change.vacant.has(id));
  const outcomes = await applyAll(world, wave, change);
  const at = world.clock.now();
  await putIn(world, plan, wave);
  return gateWave(world, plan, wave, change, { kind: idle ? 'started' : 'swapped', at, outcomes });
}

/** A target that was registered before must not stay out because its host failed or the run was cancelled. */
async function putBack(world: World, plan: Plan, wave: readonly FleetHost[]): Promise<void> {
  const calm = { ...world, signal: new AbortController().signal };
  await putIn(calm, plan, wave).catch((error: unknown) =>
    world.log.warning(`${names(wave)} could not be registered again: ${(error as Error).message}`),
  );
}

async function applyAll(world: World, wave: readonly FleetHost[], change: Change): Promise<readonly HostOutcome[]> {
  const begin = world.clock.now();
  const outcomes = await change.apply(wave);
  const problems = clusterProblems(outcomes);
  if (problems.length > 0) throw new ProblemsError(problems);
  world.log.info(`${names(wave)}: containers replaced in ${formatDuration((world.clock.now() - begin) / 1000)}.`);
  return outcomes;
}

interface Applied {
  readonly kind: WatchedChange['kind'];
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly outcomes: readonly HostOutcome[];
}

async function gateWave(
  world: World,
  plan: Plan,
  wave: readonly FleetHost[],
  change: Change,
  { kind, at, outcomes }: Applied,
): Promise<WaveResult> {
  const groups = plan.groups.map(({ group, policy }) => ({
    arn: group.arn,
    policy,
    watched: wave.flatMap((host) => watchedTargets(host, group.arn, change, outcomes, { kind, at })),
  }));
  const { targetGroups, clock, random, log, signal } = world;
  const inspect: Inspect = async (_reason, signal) => observations(await change.look(wave, signal), log);
  const result = await gate({ groups, targetGroups, inspect, clock, random, log, signal });
  if (result.verdict === 'passed') return { state: 'proven', targets: result.targets };
  return { state: 'failed', problems: result.problems, targets: result.targets };
}

function watchedTargets(
  host: FleetHost,
  groupArn: string,
  change: Change,
  outcomes: readonly HostOutcome[],
  epoch: WatchedChange,
): WatchedTarget[] {
  const report = outcomes.find(({ instance }) => instance === host.id)?.report;
  const containers = (report?.containers ?? []).map(
    ({ service, id, digest }): ExpectedContainer => ({ service, id, digest: change.digest(service) ?? digest }),
  );
  const webFirst = containers.sort(
    (one, other) => Number(change.web.includes(other.service)) - Number(change.web.includes(one.service)),
  );
  return host.targets
    .filter((target) => target.groupArn === groupArn)
    .map(({ instance, port }) => ({ instance, port, change: epoch, containers: webFirst }));
}

/** A host that could not be looked at says nothing; its containers stay unconfirmed, and the gate asks again. */
function observations(outcomes: readonly HostOutcome[], log: Log): ContainerObservation[] {
  for (const { code, message, where = '' } of clusterProblems(outcomes.filter(({ report }) => !report))) {
    log.info(`${where}: could not look at the containers (${code}: ${message})`);
  }
  return outcomes.flatMap(({ instance, report }) =>
    (report?.containers ?? []).map((container) => ({ ...container, instance })),
  );
}
