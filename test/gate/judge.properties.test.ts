import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { judge, type Verdict } from '../../src/gate/judge.js';
import { type GatePolicy, policyFor } from '../../src/gate/policy.js';
import { type GateRules, RULES } from '../../src/gate/rules.js';
import { targetKey } from '../../src/gate/target.js';
import type { BalancerLook, HostLook, Observation, WatchedTarget } from '../../src/gate/watched.js';
import { A, B, container, DEFAULT_CHECK, DIGEST, HEALTHY } from './fixtures.js';

const RUNS = 10_000;

/** A target's life: what the load balancer says of it, phase by phase. The last phase goes on for ever. */
type Life = readonly { readonly state: string; readonly reason?: string; readonly seconds: number }[];

interface Story {
  readonly policy: GatePolicy;
  readonly watched: readonly WatchedTarget[];
  readonly observations: readonly Observation[];
  readonly now: number;
}

const seconds = (from: number, to: number) => fc.integer({ min: from, max: to });

const anyPolicy = fc
  .record({
    interval: fc.constantFrom(5, 10, 30),
    healthy: seconds(2, 5),
    unhealthy: seconds(2, 3),
    stable: seconds(10, 30),
  })
  .map(({ interval, healthy, unhealthy, stable }) =>
    policyFor(
      {
        healthCheck: {
          ...DEFAULT_CHECK,
          intervalSeconds: interval,
          healthyThreshold: healthy,
          unhealthyThreshold: unhealthy,
        },
      },
      { stableForSeconds: stable },
    ),
  );

const anyPhase = fc.record({
  state: fc.constantFrom('initial', 'healthy', 'healthy', 'unhealthy', 'draining', 'unlisted', 'unavailable', 'odd'),
  seconds: seconds(1, 40),
});
const hopeless = { state: 'unused', reason: 'Target.InvalidState', seconds: 5 };

const anyLife: fc.Arbitrary<Life> = fc
  .tuple(fc.array(anyPhase, { maxLength: 3, size: 'small' }), fc.boolean(), fc.boolean())
  .map(([phases, ill, dies]) => [
    ...(dies && phases.length > 2 ? [hopeless] : []),
    ...phases,
    { state: ill && phases.length > 1 ? 'unhealthy' : 'healthy', seconds: 1000 },
  ]);

const anyTarget = (id: { instance: string; port: number }) =>
  fc
    .record({
      kind: fc.constantFrom('registered', 'swapped', 'started', 'changed'),
      changedAt: seconds(0, 20),
      life: anyLife,
      containers: fc.constantFrom(true, false, false),
    })
    .map(({ kind, changedAt, life, containers }) => ({
      life,
      watched: {
        ...id,
        change: { kind, at: changedAt * 1000 },
        ...(containers ? { containers: [{ service: 'web', digest: DIGEST }] } : {}),
      } as WatchedTarget,
    }));

/** Gaps between looks: mostly those of the gate itself, now and then a long silence. */
const anyGaps = fc.array(fc.oneof({ weight: 30, arbitrary: seconds(1, 6) }, { weight: 1, arbitrary: seconds(7, 45) }), {
  minLength: 10,
  maxLength: 80,
});

/** How the container behaves: fine, with a restart, the wrong one, or gone; and at which look. */
const anyContainer = fc.record({
  illness: fc.constantFrom(...Array<string>(9).fill('none'), 'restart', 'digest', 'exited'),
  atLook: seconds(0, 8),
});

const anyStory: fc.Arbitrary<Story> = fc
  .record({
    policy: anyPolicy,
    targets: fc.oneof(fc.tuple(anyTarget(A)), fc.tuple(anyTarget(A), anyTarget(B))),
    gaps: anyGaps,
    containers: fc.tuple(anyContainer, anyContainer),
    lookEvery: seconds(2, 5),
    silence: seconds(0, 12),
  })
  .map(({ policy, targets, gaps, containers, lookEvery, silence }) => {
    let at = 0;
    const observations = gaps.flatMap((gap, index): Observation[] => {
      at += gap * 1000;
      const balancer = lookAtBalancer(at, targets);
      if (index % lookEvery !== 0) return [balancer];
      return [balancer, lookAtHosts(at, index / lookEvery, containers)];
    });
    return { policy, watched: targets.map(({ watched }) => watched), observations, now: at + silence * 1000 };
  });

function lookAtBalancer(at: number, targets: readonly { life: Life; watched: WatchedTarget }[]): BalancerLook {
  const lines = targets.map(({ life, watched: { instance, port } }) => ({ instance, port, ...phaseAt(life, at) }));
  return { kind: 'balancer', askedAt: at, at, targets: lines.filter(({ state }) => state !== 'unlisted') };
}

function phaseAt(life: Life, at: number): { state: string; reason?: string } {
  let end = 0;
  for (const { seconds: length, ...words } of life) {
    end += length * 1000;
    if (at < end) return words;
  }
  return HEALTHY;
}

function lookAtHosts(at: number, look: number, containers: readonly { illness: string; atLook: number }[]): HostLook {
  const found = containers.map(({ illness, atLook }, index) => {
    const instance = [A, B][index]?.instance ?? '';
    if (look < atLook) return container({ instance });
    if (illness === 'restart') return container({ instance, restarts: 1, startedAt: 7 });
    if (illness === 'digest') return container({ instance, digest: 'sha256:other' });
    return container({ instance, state: illness === 'exited' ? 'exited' : 'running' });
  });
  return { kind: 'hosts', askedAt: at, at, containers: found };
}

const verdictOf = (story: Story, rules: GateRules): Verdict => judge({ ...story, startedAt: 0, rules });

/** Told once more in plain loops over the raw observations, knowing nothing of the gate's state machine. */
function deservesProof({ policy, watched, observations, now }: Story, index: number): boolean {
  const target = watched[index];
  if (!target) return false;
  const { change } = target;
  const looks = observations
    .filter((one): one is BalancerLook => one.kind === 'balancer' && one.at > change.at)
    .map(({ at, targets }) => ({
      at,
      ...(targets.find((line) => targetKey(line) === targetKey(target)) ?? { state: 'unlisted' }),
    }));
  if (looks.some(({ state }) => state === 'unused') || missedFor(looks) >= policy.registrationGraceSeconds * 1000)
    return false;
  const renewed = looks.find(({ state }) => state === 'initial' || state === 'unlisted');
  const window = change.at + policy.observationWindowSeconds * 1000;
  const epochs = { registered: Math.min(window, renewed?.at ?? window), swapped: window, started: change.at };
  const epoch = epochs[change.kind === 'changed' ? 'registered' : change.kind];
  const stretch = lastStretch(looks, epoch, policy, now);
  const [from, to] = [stretch[0]?.at ?? 0, stretch.at(-1)?.at ?? 0];
  if (stretch.length < 2 || from <= epoch || to - from < policy.stableForSeconds * 1000) return false;
  return !target.containers || containersHeld(target, observations, from, policy);
}

function missedFor(looks: readonly { at: number; state: string }[]): number {
  let since: number | undefined;
  let longest = 0;
  for (const { at, state } of looks) {
    since = state === 'unlisted' ? (since ?? at) : undefined;
    longest = Math.max(longest, at - (since ?? at));
  }
  return longest;
}

function lastStretch(looks: readonly { at: number; state: string }[], epoch: number, policy: GatePolicy, now: number) {
  const stretch: { at: number; state: string }[] = [];
  for (const look of [...looks].reverse()) {
    const later = stretch[0]?.at ?? now;
    if (look.state !== 'healthy' || look.at <= epoch || later - look.at > policy.longestGapSeconds * 1000) break;
    stretch.unshift(look);
  }
  return stretch;
}

function containersHeld(
  target: WatchedTarget,
  observations: readonly Observation[],
  from: number,
  policy: GatePolicy,
): boolean {
  const looks = observations
    .filter((one): one is HostLook => one.kind === 'hosts' && one.at > target.change.at)
    .flatMap(({ at, containers }) =>
      containers.filter(({ instance }) => instance === target.instance).map((found) => ({ ...found, at })),
    );
  if (looks.some(({ digest, state }) => digest !== DIGEST || state !== 'running')) return false;
  const inside = looks.filter(({ at }) => at >= from);
  return inside.some((late) =>
    inside.some(
      (early) =>
        late.at - early.at >= 10_000 &&
        late.at - from >= policy.stableForSeconds * 1000 &&
        early.restarts === late.restarts,
    ),
  );
}

const provenDeserveIt = (rules: GateRules) =>
  fc.property(anyStory, (story) => {
    const verdict = verdictOf(story, rules);
    return verdict.state !== 'passed' || verdict.proof.every((_, index) => deservesProof(story, index));
  });

const endsInTime = (rules: GateRules) =>
  fc.property(anyStory, seconds(0, 100), (story, late) => {
    const now = (story.policy.totalSeconds + late) * 1000;
    return verdictOf({ ...story, now }, rules).state !== 'waiting';
  });

/** More looks that all find every target healthy, at moments when nobody had looked. */
const moreHealthKeepsAPass = (rules: GateRules) =>
  fc.property(anyStory, fc.array(seconds(1, 200), { minLength: 1, maxLength: 10 }), (story, times) => {
    const watched = story.watched.map(({ instance, port, change }) => ({ instance, port, change }));
    const plain = { ...story, watched };
    if (verdictOf(plain, rules).state !== 'passed') return true;
    const lines = watched.map(({ instance, port }) => ({ instance, port, ...HEALTHY }));
    const more = times
      .map((time) => time * 1000 + 500)
      .filter((at) => at <= story.now)
      .map((at): BalancerLook => ({ kind: 'balancer', askedAt: at, at, targets: lines }));
    const observations = [...story.observations, ...more].sort((one, other) => one.at - other.at);
    return verdictOf({ ...plain, observations }, rules).state === 'passed';
  });

describe('for every story', () => {
  test('whoever is proven was healthy for an unbroken stretch after the epoch, with the right containers', () => {
    fc.assert(provenDeserveIt(RULES), { numRuns: RUNS });
  });

  test('the gate has ended when its time is over', () => {
    fc.assert(endsInTime(RULES), { numRuns: RUNS });
  });

  test('more evidence of health never takes a pass back', () => {
    fc.assert(moreHealthKeepsAPass(RULES), { numRuns: RUNS });
  });

  test('and stories of success, of failure and of neither are all among them', () => {
    const ends = fc.sample(anyStory, { numRuns: 2000, seed: 1 }).map((story) => verdictOf(story, RULES).state);
    const share = (state: string) => ends.filter((end) => end === state).length / ends.length;
    expect(Math.min(share('passed'), share('failed'), share('waiting'))).toBeGreaterThan(0.05);
  });
});

describe('a gate with one broken rule is found out', () => {
  const mutants: [string, Partial<GateRules>, (rules: GateRules) => fc.IPropertyWithHooks<never>][] = [];
  const broken = (what: string, rules: Partial<GateRules>, property: (rules: GateRules) => unknown) =>
    mutants.push([what, rules, property as never]);

  broken('what was said before the change counts', { concerns: () => true }, provenDeserveIt);
  broken('a swap is believed at once', { trustedFrom: ({ at }) => at }, provenDeserveIt);
  broken(
    'a window without the time-out',
    { trustedFrom: ({ at }, policy) => at + (policy.observationWindowSeconds - 5) * 1000 },
    provenDeserveIt,
  );
  broken(
    'a swapped target is taken for one where nothing ran before',
    { trustedFrom: ({ at }) => at },
    provenDeserveIt,
  );
  broken('a swapped target can be seen new', { renews: ({ kind }) => kind === 'new' }, provenDeserveIt);
  broken(
    'a draining target is new',
    {
      renews: (sighting, change) =>
        RULES.renews(sighting, change) || (sighting.kind === 'leaving' && change.kind !== 'swapped'),
    },
    provenDeserveIt,
  );
  broken('the epoch itself counts', { counts: (at, from) => at >= from }, provenDeserveIt);
  broken('silence is health', { unbroken: () => true }, provenDeserveIt);
  broken('one healthy answer is enough', { stable: () => true }, provenDeserveIt);
  broken(
    'half a stretch is enough',
    { stable: ({ from, to }, policy) => to - from >= policy.stableForSeconds * 500 },
    provenDeserveIt,
  );
  broken('a stopped instance is forgiven', { final: () => false }, provenDeserveIt);
  broken('time is never over', { over: () => false }, endsInTime);
  broken(
    'looking twice in a second breaks a stretch',
    { unbroken: (one, other, policy) => other - one >= 1000 && RULES.unbroken(one, other, policy) },
    moreHealthKeepsAPass,
  );

  test.each(mutants)('%s', (_, rules, property) => {
    expect(fc.check(property({ ...RULES, ...rules }), { numRuns: RUNS }).failed).toBe(true);
  });
});
