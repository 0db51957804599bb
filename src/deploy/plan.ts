import type { CompiledRelease, ComposeModel } from '../compose/model.js';
import { formatDuration, parseDuration } from '../duration.js';
import { type GatePolicy, leastSeconds, policyFor } from '../gate/policy.js';
import type { TargetGroup } from '../gate/target.js';
import type { FleetHost, Group } from './fleet.js';
import type { DeployOptions, Strategy } from './options.js';
import type { Resolved } from './resolve.js';
import { chooseStrategy } from './strategy.js';
import { planWaves } from './waves.js';

/** What will be done, in which order, and how long each wait is. */
export interface Plan {
  readonly strategy: Strategy;
  readonly because: string;
  readonly waves: readonly (readonly FleetHost[])[];
  readonly groups: readonly GatedGroup[];
  /** How long a deregistered target is left alone. */
  readonly drainSeconds: number;
}

export interface GatedGroup extends Group {
  readonly policy: GatePolicy;
}

export function makePlan(options: DeployOptions, { groups, fleet, serving, compose, draft }: Resolved): Plan {
  const startPeriodSeconds = longestStartPeriod(compose.parsed.model, draft);
  const { strategy, because } = chooseStrategy(options.strategy, fleet);
  return {
    strategy,
    because,
    waves: isFirst(fleet, serving) ? [fleet] : planWaves(fleet, options.waveSize),
    groups: groups.map((group) => ({ ...group, policy: gatePolicy(options, group.group, startPeriodSeconds) })),
    drainSeconds:
      options.drainTimeoutSeconds ?? Math.max(...groups.map(({ group }) => group.deregistrationDelaySeconds)),
  };
}

function gatePolicy(options: DeployOptions, group: TargetGroup, startPeriodSeconds: number): GatePolicy {
  const { healthTimeoutSeconds, stableForSeconds } = options;
  return policyFor(group, { healthTimeoutSeconds, stableForSeconds, startPeriodSeconds });
}

/** Waves protect what serves. Before the first release there is nothing, so all hosts can start at once. */
function isFirst(fleet: readonly FleetHost[], serving: ReadonlySet<string>): boolean {
  return serving.size === 0 && fleet.every(({ healthy }) => !healthy);
}

/** Of the services behind the load balancer, in seconds: how long their own health checks forgive a slow start. */
function longestStartPeriod({ services }: ComposeModel, { web }: CompiledRelease): number {
  const periods = web.map(({ service }) => {
    const { start_period: period = '' } = (services[service]?.healthcheck ?? {}) as { start_period?: string };
    return parseDuration(period) ?? 0;
  });
  return Math.max(0, ...periods);
}

/** The plan as lines for a person. */
export function describePlan({ strategy, because, waves, groups, drainSeconds }: Plan): string[] {
  const baseline = groups.flatMap(({ group, baseline }) =>
    baseline.map((health) => ({ ...health, group: group.name })),
  );
  const unhealthy = baseline.filter(({ state }) => state !== 'healthy');
  return [
    `Strategy ${strategy}: ${because}.`,
    ...waves.map((wave, index) => `Wave ${index + 1} of ${waves.length}: ${wave.map(({ id }) => id).join(', ')}`),
    ...groups.map(({ group, policy }) => `Target group ${group.name}: ${policy.explanation}.`),
    ...(strategy === 'rolling' ? [`A target that served is left to drain for ${formatDuration(drainSeconds)}.`] : []),
    ...(unhealthy.length > 0
      ? [`${unhealthy.length} of ${baseline.length} targets are not healthy before the deploy; their hosts go first.`]
      : []),
    `It takes at least ${formatDuration(leastDuration({ strategy, waves, groups, drainSeconds }))} of waiting, besides building, pulling and starting.`,
  ];
}

/** The waits that the target groups ask for; what a host needs to pull and start comes on top. */
export function leastDuration({ strategy, waves, groups, drainSeconds }: Omit<Plan, 'because'>): number {
  const change = strategy === 'rolling' ? 'registered' : 'swapped';
  const gate = Math.max(...groups.map(({ policy }) => leastSeconds(policy, change)));
  return waves.reduce((sum, wave) => sum + gate + (strategy === 'rolling' && serves(wave) ? drainSeconds : 0), 0);
}

function serves(wave: readonly FleetHost[]): boolean {
  return wave.some(({ healthy }) => healthy);
}
