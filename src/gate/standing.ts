import { formatDuration } from '../duration.js';
import type { Problem } from '../problem.js';
import { verified } from './containers.js';
import { listPlaces, overdueProblem } from './problems.js';
import { isStable, type Law } from './rules.js';
import { quote, type Sighting } from './sighting.js';
import { targetKey } from './target.js';
import { isProven, type TargetState } from './target-state.js';

/** Where a target stands at a moment: proven, failed, or waiting for a step that ends at `until` at the latest. */
export type Standing =
  | { readonly kind: 'proven' }
  | { readonly kind: 'failed'; readonly problem: Problem }
  | { readonly kind: 'waiting'; readonly step: Step; readonly until: number; readonly words: string };

type Step = 'observation' | 'state' | 'window' | 'stretch' | 'verification';

/** What the limits count from. */
interface Clocks extends Law {
  readonly startedAt: number;
  readonly progressAt: number;
}

export function standingOf(state: TargetState, clocks: Clocks, now: number): Standing {
  if (state.final) return { kind: 'failed', problem: state.final };
  if (isProven(state, now, clocks)) return { kind: 'proven' };
  const step = stepOf(state, clocks, now);
  const limits = limitsOf(state, clocks, step);
  const over = limits.find(({ since, seconds }) => clocks.rules.over(since, seconds, now));
  if (over) {
    const problem = overdueProblem(state.target, over, { kind: step, sighting: state.sighting });
    return { kind: 'failed', problem };
  }
  const deadline = Math.min(...limits.map(({ since, seconds }) => since + seconds * 1000));
  return { kind: 'waiting', step, ...expectation(state, clocks, step, deadline) };
}

function stepOf(state: TargetState, law: Law, now: number): Step {
  const { sighting, stretch, seenAt } = state;
  if (!sighting || seenAt === undefined || !law.rules.unbroken(seenAt, now, law.policy)) return 'observation';
  if (sighting.kind !== 'healthy') return 'state';
  if (!stretch) return 'window';
  return isStable(stretch, law) && !verified(state) ? 'verification' : 'stretch';
}

/** A target that is stable has kept its own limit; its containers have until the end of the gate. */
function limitsOf({ target, stretch }: TargetState, clocks: Clocks, step: Step) {
  const { policy, startedAt, progressAt } = clocks;
  const since = Math.max(startedAt, target.change.at);
  const own = { name: 'target', since, seconds: policy.targetSeconds } as const;
  return [
    ...(step === 'verification' || isStable(stretch, clocks) ? [] : [own]),
    { name: 'progress', since: progressAt, seconds: policy.progressSeconds } as const,
    { name: 'total', since: startedAt, seconds: policy.totalSeconds } as const,
  ];
}

function expectation(state: TargetState, { policy }: Law, step: Step, deadline: number) {
  const { sighting, trustedFrom, stretch, missingSince } = state;
  switch (step) {
    case 'observation':
      return { until: deadline, words: "the load balancer's answer" };
    case 'window':
      return { until: Math.min(deadline, trustedFrom), words: 'the end of the observation window (healthy until now)' };
    case 'stretch': {
      const end = (stretch?.from ?? trustedFrom) + policy.stableForSeconds * 1000;
      return {
        until: Math.min(deadline, end),
        words: `healthy to hold for ${formatDuration(policy.stableForSeconds)}`,
      };
    }
    case 'verification':
      return { until: deadline, words: 'the hosts to confirm the containers' };
    case 'state': {
      const grace = missingSince === undefined ? deadline : missingSince + policy.registrationGraceSeconds * 1000;
      return { until: Math.min(deadline, grace), words: `healthy (now ${sighting ? quote(sighting) : 'unknown'})` };
    }
    default:
      return step satisfies never;
  }
}

/** How far a target has come. A higher rank than ever before is progress. */
export function rankOf(state: TargetState, law: Law): number {
  if (state.final) return 0;
  if (isStable(state.stretch, law)) return verified(state) ? 6 : 5;
  if (state.stretch) return 4;
  return state.sighting ? SIGHTING_RANKS[state.sighting.kind] : 0;
}

const SIGHTING_RANKS: { readonly [kind in Sighting['kind']]: number } = {
  healthy: 3,
  new: 2,
  failing: 2,
  leaving: 1,
  missing: 0,
  hopeless: 0,
  unclear: 0,
};

/** A target and where it stands. */
export interface Placed {
  readonly state: TargetState;
  readonly standing: Standing;
}

/** One line for all targets that wait: what for, who, and when the last of these steps is over. */
export function describeSteps(placed: readonly Placed[]): { waitingFor: string; until: number } {
  const waiting = new Map<string, string[]>();
  let until = 0;
  for (const { state, standing } of placed) {
    if (standing.kind !== 'waiting') continue;
    const keys = waiting.get(standing.words) ?? [];
    keys.push(targetKey(state.target));
    waiting.set(standing.words, keys);
    until = Math.max(until, standing.until);
  }
  const lines = [...waiting].map(([words, keys]) => `${words}: ${listPlaces(keys)}`);
  return { waitingFor: lines.join('; '), until };
}
