import type { Problem } from '../problem.js';
import type { GatePolicy } from './policy.js';
import { clusterProblems } from './problems.js';
import { toProof } from './proof.js';
import { type GateRules, type Law, RULES } from './rules.js';
import { describeSteps, type Placed, rankOf, type Standing, standingOf } from './standing.js';
import { targetKey } from './target.js';
import { beginTarget, seeBalancer, seeHosts, type TargetState } from './target-state.js';
import type { BalancerLook, Observation, TargetProof, WatchedTarget } from './watched.js';

export type Verdict =
  | {
      readonly state: 'waiting';
      readonly waitingFor: string;
      /** When the step that is waited for is over at the latest; milliseconds since the epoch. */
      readonly until: number;
      readonly perTarget: readonly TargetProof[];
    }
  | { readonly state: 'passed'; readonly proof: readonly TargetProof[] }
  | {
      readonly state: 'failed';
      /** The most frequent of the problems. */
      readonly reason: Problem;
      readonly problems: readonly Problem[];
      readonly perTarget: readonly TargetProof[];
    };

export interface WatchOptions {
  readonly policy: GatePolicy;
  readonly watched: readonly WatchedTarget[];
  /** When the gate began; the limits count from here. Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly rules?: GateRules;
}

/** All that a gate knows of one target group. Made by `beginWatch`, moved by `advance`, read by `conclude`. */
export interface Watch extends Law {
  readonly startedAt: number;
  readonly targets: readonly TargetState[];
  /** How far each target has ever come, and when one last came further. */
  readonly best: readonly number[];
  readonly progressAt: number;
}

/**
 * Whether the new version serves, from observations alone: in order, each with its time, none later than `now`.
 * Costs time in proportion to targets × observations.
 */
export function judge(options: WatchOptions & { observations: readonly Observation[]; now: number }): Verdict {
  const watch = options.observations.reduce(advance, beginWatch(options));
  return conclude(watch, options.now);
}

export function beginWatch({ policy, watched, startedAt, rules = RULES }: WatchOptions): Watch {
  const unique = [...new Map(watched.map((target) => [targetKey(target), target])).values()];
  return {
    policy,
    rules,
    startedAt,
    targets: unique.map((target) => beginTarget(target, { policy, rules })),
    best: unique.map(() => 0),
    progressAt: startedAt,
  };
}

/** Takes in one observation. */
export function advance(watch: Watch, observation: Observation): Watch {
  const targets = observation.kind === 'balancer' ? afterBalancer(watch, observation) : afterHosts(watch, observation);
  const ranks = targets.map((state) => rankOf(state, watch));
  const further = ranks.some((rank, index) => rank > (watch.best[index] ?? 0));
  return {
    ...watch,
    targets,
    best: ranks.map((rank, index) => Math.max(rank, watch.best[index] ?? 0)),
    progressAt: further ? observation.at : watch.progressAt,
  };
}

function afterBalancer(watch: Watch, look: BalancerLook): TargetState[] {
  const lines = new Map(look.targets.map((health) => [targetKey(health), health]));
  return watch.targets.map((state) => seeBalancer(state, look, lines.get(targetKey(state.target)), watch));
}

function afterHosts(watch: Watch, look: Extract<Observation, { kind: 'hosts' }>): TargetState[] {
  return watch.targets.map((state) => seeHosts(state, look, watch));
}

/** Reads the verdict at `now`. A proof outranks a limit that ends at the same moment. */
export function conclude(watch: Watch, now: number): Verdict {
  const placed = watch.targets.map((state) => ({ state, standing: standingOf(state, watch, now) }));
  const perTarget = placed.map(({ state, standing }) => toProof(state, standing, watch));
  if (placed.length === 0) return failed([NO_TARGETS], perTarget);
  const needed = watch.policy.minimumHealthy ?? placed.length;
  const count = (kind: Standing['kind']) => placed.filter(({ standing }) => standing.kind === kind).length;
  if (count('proven') >= needed) return { state: 'passed', proof: perTarget };
  if (placed.length - count('failed') < needed) return failed(problemsOf(placed, needed), perTarget);
  return { state: 'waiting', ...describeSteps(placed), perTarget };
}

/** A gate without targets proves nothing, so it never passes. */
export const NO_TARGETS: Problem = {
  code: 'GATE_NO_TARGETS',
  message: 'There is no target to decide on.',
  fix: 'Register a target, or name one that is registered.',
};

function problemsOf(placed: readonly Placed[], needed: number): Problem[] {
  const problems = placed.flatMap(({ standing }) => (standing.kind === 'failed' ? [standing.problem] : []));
  if (problems.length > 0) return clusterProblems(problems);
  const message = `${needed} healthy targets are asked for, but only ${placed.length} are watched.`;
  return [{ code: 'GATE_MINIMUM_UNREACHABLE', message, fix: 'Lower minimum-healthy or name more targets.' }];
}

function failed(problems: readonly Problem[], perTarget: readonly TargetProof[]): Verdict {
  const [reason = NO_TARGETS] = problems;
  return { state: 'failed', reason, problems, perTarget };
}
