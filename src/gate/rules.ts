import type { GatePolicy } from './policy.js';
import type { Sighting } from './sighting.js';
import type { Change } from './watched.js';

/** An unbroken run of `healthy` that counts: first and last observation, and how many. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly observations: number;
}

/** The law of the gate, one sentence each. All times are milliseconds since the epoch. */
export interface GateRules {
  /** An observation at or before the change is about what was there before it. */
  concerns(at: number, change: Change): boolean;
  /**
   * The observation window: a load balancer can repeat its old `healthy` for that long after any change. Where nothing ran
   * before and the target was not healthy, there is no old `healthy` to repeat.
   */
  trustedFrom(change: Change, policy: GatePolicy): number;
  /** Seen without a verdict after the change, a registration has none to inherit: the next `healthy` is its own. */
  renews(sighting: Sighting, change: Change): boolean;
  /** `healthy` counts when it is observed after that. */
  counts(at: number, trustedFrom: number): boolean;
  /** Two observations too far apart say nothing about the time between them. */
  unbroken(earlier: number, later: number, policy: GatePolicy): boolean;
  stable(stretch: Stretch, policy: GatePolicy): boolean;
  /** Some states do not heal by waiting. */
  final(sighting: Sighting, missingForMs: number, policy: GatePolicy): boolean;
  /** A limit of `seconds` that began at `since` is over. */
  over(since: number, seconds: number, now: number): boolean;
}

export const RULES: GateRules = {
  concerns: (at, change) => at > change.at,
  trustedFrom: ({ kind, at }, policy) => (kind === 'started' ? at : at + policy.observationWindowSeconds * 1000),
  renews: ({ kind }, change) => change.kind !== 'swapped' && (kind === 'new' || kind === 'missing'),
  counts: (at, trustedFrom) => at > trustedFrom,
  unbroken: (earlier, later, policy) => later - earlier <= policy.longestGapSeconds * 1000,
  stable: ({ from, to }, policy) => to - from >= policy.stableForSeconds * 1000,
  final: ({ kind }, missingForMs, policy) =>
    kind === 'hopeless' || (kind === 'missing' && missingForMs >= policy.registrationGraceSeconds * 1000),
  over: (since, seconds, now) => now >= since + seconds * 1000,
};

/** The numbers and the law that a watch goes by. */
export interface Law {
  readonly policy: GatePolicy;
  readonly rules: GateRules;
}

export function isStable(stretch: Stretch | undefined, { policy, rules }: Law): boolean {
  return stretch !== undefined && rules.stable(stretch, policy);
}
