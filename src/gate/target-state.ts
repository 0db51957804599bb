import type { Problem } from '../problem.js';
import { seeContainers, verified } from './containers.js';
import { noContainers, targetProblem } from './problems.js';
import { isStable, type Law, type Stretch } from './rules.js';
import { readSighting, type Sighting } from './sighting.js';
import type { TargetHealth } from './target.js';
import type { BalancerLook, ContainerObservation, HostLook, WatchedTarget } from './watched.js';

/** The state machine of one target. It moves by `seeBalancer` and `seeHosts` alone. Times are milliseconds. */
export interface TargetState {
  readonly target: WatchedTarget;
  readonly trustedFrom: number;
  readonly sighting: Sighting | undefined;
  readonly seenAt: number | undefined;
  readonly missingSince: number | undefined;
  /** A target that was seen to turn unhealthy cannot be healthy again before this time. */
  readonly failingUntil: number | undefined;
  readonly stretch: Stretch | undefined;
  readonly firstHealthyAt: number | undefined;
  readonly hosts: HostWatch;
  /** Once set it stays: nothing that is observed later takes it back. */
  readonly final: Problem | undefined;
}

/** What the looks at its host have shown so far. */
export interface HostWatch {
  readonly containers: readonly ContainerObservation[];
  /** Restart counts by service when each was first seen. */
  readonly firstRestarts: { readonly [service: string]: number };
  /** When the last clean look was over that began the comparison for the present stretch. */
  readonly comparedFrom: number | undefined;
  /** When the look began that found the same as that one, after a stable stretch. */
  readonly verifiedAt: number | undefined;
}

export function beginTarget(target: WatchedTarget, { policy, rules }: Law): TargetState {
  return {
    target,
    trustedFrom: rules.trustedFrom(target.change, policy),
    sighting: undefined,
    seenAt: undefined,
    missingSince: undefined,
    failingUntil: undefined,
    stretch: undefined,
    firstHealthyAt: undefined,
    hosts: { containers: [], firstRestarts: {}, comparedFrom: undefined, verifiedAt: undefined },
    final: target.containers?.length === 0 ? noContainers(target) : undefined,
  };
}

/** A moment of a look: the answer is about some time between the two. */
type Moment = Pick<BalancerLook, 'askedAt' | 'at'>;

/** Takes in what the load balancer says of the target; `health` is undefined where the group does not list it. */
export function seeBalancer(
  state: TargetState,
  moment: Moment,
  health: TargetHealth | undefined,
  law: Law,
): TargetState {
  const { askedAt, at } = moment;
  const { target, seenAt = Number.NEGATIVE_INFINITY } = state;
  if (state.final || at <= seenAt || !law.rules.concerns(askedAt, target.change)) return state;
  const sighting = readSighting(health);
  const missingSince = sighting.kind === 'missing' ? (state.missingSince ?? at) : undefined;
  const stretch = extend(state, moment, sighting, law);
  return {
    ...state,
    sighting,
    seenAt: at,
    missingSince,
    stretch,
    firstHealthyAt: state.firstHealthyAt ?? stretch?.from,
    failingUntil: failingUntil(state, sighting, law),
    trustedFrom: law.rules.renews(sighting, target.change) ? Math.min(state.trustedFrom, at) : state.trustedFrom,
    final: law.rules.final(sighting, at - (missingSince ?? at), law.policy)
      ? targetProblem(target, sighting)
      : undefined,
  };
}

/** Takes in a look at the hosts; one that does not mention the target's host teaches nothing. */
export function seeHosts(state: TargetState, look: HostLook, law: Law): TargetState {
  const { target } = state;
  if (state.final || !target.containers || !law.rules.concerns(look.askedAt, target.change)) return state;
  const containers = look.containers.filter(({ instance }) => instance === target.instance);
  return containers.length === 0 ? state : seeContainers(state, { ...look, containers }, law);
}

/** Everything that success means for one target, at this moment. */
export function isProven(state: TargetState, now: number, law: Law): boolean {
  const { stretch, final } = state;
  if (final || !stretch || !isStable(stretch, law)) return false;
  return law.rules.unbroken(stretch.to, now, law.policy) && verified(state);
}

/** A stretch begins when its first answer was there and ends when its last was asked for: never longer than the truth. */
function extend(state: TargetState, moment: Moment, { kind }: Sighting, law: Law): Stretch | undefined {
  const { stretch, trustedFrom } = state;
  const { askedAt, at } = moment;
  if (kind !== 'healthy' || !law.rules.counts(askedAt, trustedFrom)) return undefined;
  if (!stretch || !law.rules.unbroken(stretch.to, at, law.policy)) return { from: at, to: at, observations: 1 };
  return { from: stretch.from, to: Math.max(stretch.to, askedAt), observations: stretch.observations + 1 };
}

/** The first good check may come right after the fall, so the way back takes one interval less than the threshold. */
function failingUntil(state: TargetState, { kind }: Sighting, { policy }: Law): number | undefined {
  if (kind !== 'failing') return undefined;
  if (state.sighting?.kind === 'failing') return state.failingUntil;
  return state.seenAt === undefined
    ? undefined
    : state.seenAt + (policy.recoverySeconds - policy.intervalSeconds) * 1000;
}
