import { describe, expect, test } from '@jest/globals';
import { type GateOptions, type GateResult, gate, type Inspect } from '../../src/gate/loop.js';
import { policyFor } from '../../src/gate/policy.js';
import type { TargetHealth } from '../../src/gate/target.js';
import type { ContainerObservation } from '../../src/gate/watched.js';
import { problem } from '../../src/problem.js';
import {
  A,
  B,
  container,
  HEALTHY,
  INITIAL,
  QUICK_CHECK,
  quick,
  target,
  UNHEALTHY,
  usual,
  withContainer,
} from './fixtures.js';
import { GateClock } from './gate-clock.js';

const ARN = 'arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/shop-web/0123456789abcdef';
const OTHER = ARN.replace('shop-web', 'shop-api');

const throttled = problem('AWS_THROTTLED', 'AWS throttled elasticloadbalancing:DescribeTargetHealth.');
const broken = problem('AWS_UNAVAILABLE', 'AWS did not answer.');
const denied = problem(
  'AWS_ACCESS_DENIED',
  'The role of this job may not call elasticloadbalancing:DescribeTargetHealth.',
);
const missing = problem('TARGET_GROUP_NOT_FOUND', 'There is no target group.');

type Words = Pick<TargetHealth, 'state' | 'reason' | 'description'>;
type Answer = Words | Error;

interface Played {
  readonly result: Promise<GateResult>;
  readonly lines: string[];
  readonly calls: { readonly arn: string; readonly at: number }[];
  readonly looks: { readonly reason: string; readonly at: number }[];
}

/** A gate whose load balancer says what `answer` says, by seconds since the start. */
function play(
  answer: (seconds: number, arn: string) => Answer,
  options: Partial<GateOptions> & {
    look?: (seconds: number, reason: string) => readonly ContainerObservation[] | Error;
    lookSeconds?: number;
    clock?: GateClock;
  } = {},
): Played {
  const clock = options.clock ?? new GateClock();
  const [lines, calls, looks]: [string[], Played['calls'], Played['looks']] = [[], [], []];
  const say = (line: string) => void lines.push(line);
  const { look, lookSeconds = 2 } = options;
  const inspect: Inspect | undefined =
    look &&
    (async (reason) => {
      looks.push({ reason, at: clock.now() / 1000 });
      await clock.sleep(lookSeconds * 1000);
      const found = look(clock.now() / 1000, reason);
      if (found instanceof Error) throw found;
      return found;
    });
  const result = clock.play(
    gate({
      groups: [
        { arn: ARN, policy: quick, watched: [target('registered', { change: { kind: 'registered', at: -1 } })] },
      ],
      targetGroups: {
        health: async (arn) => {
          calls.push({ arn, at: clock.now() / 1000 });
          const words = answer(clock.now() / 1000, arn);
          if (words instanceof Error) throw words;
          return [A, B].map((id) => ({ ...id, ...words }));
        },
      },
      clock,
      random: () => 0,
      log: { info: say, warning: say, debug: say, group: (_, work) => work() },
      inspect,
      ...options,
    }),
  );
  return { result, lines, calls, looks };
}

const freshThenHealthy = (seconds: number) => (seconds < 7 ? INITIAL : HEALTHY);

describe('a good deploy', () => {
  test('passes a stretch after the first good check, and says how long that took', async () => {
    const { result, calls } = play(freshThenHealthy);
    const { verdict, waitedSeconds, apiCalls, targets } = await result;
    expect({ verdict, waitedSeconds, apiCalls }).toEqual({
      verdict: 'passed',
      waitedSeconds: 18,
      apiCalls: calls.length,
    });
    expect(targets).toMatchObject([{ ...A, group: ARN, outcome: 'proven', albState: 'healthy', firstHealthyAt: 8000 }]);
  });

  test('is told in a handful of lines: the limits first, then only what changes', async () => {
    const { result, lines } = play(freshThenHealthy);
    await result;
    expect(lines).toEqual([
      'shop-web: 1 of 1 targets must prove that they serve.',
      `shop-web: ${quick.explanation}.`,
      'shop-web: time limits: each target until 00:02:00Z, progress every 2m, all until 00:03:00Z.',
      'shop-web: waiting for healthy (now initial, Elb.InitialHealthChecking (Initial health checks in progress)): i-0000000000000000a:8080, until 00:02:00Z at the latest.',
      'shop-web: waiting for healthy to hold for 10s: i-0000000000000000a:8080, until 00:00:18Z at the latest.',
      'shop-web: 1 of 1 targets proven.',
    ]);
  });

  test('costs one call a group and tick, however many targets there are', async () => {
    const watched = Array.from({ length: 300 }, (_, index) =>
      target('registered', { instance: A.instance, port: 1000 + index, change: { kind: 'registered', at: -1 } }),
    );
    const health = async () =>
      watched.map(({ instance, port }) => ({ instance, port, ...freshThenHealthy(clock.now() / 1000) }));
    const clock = new GateClock();
    const { result } = play(freshThenHealthy, {
      clock,
      targetGroups: { health },
      groups: [{ arn: ARN, policy: quick, watched }],
    });
    expect(await result).toMatchObject({ verdict: 'passed', apiCalls: 7 });
  });

  test('is asked about slowly while nothing can change: a swap with the usual settings takes 20 calls for 95 seconds', async () => {
    const groups = [{ arn: ARN, policy: usual, watched: [target('swapped')] }];
    const { result, calls } = play(() => HEALTHY, { groups });
    expect(await result).toMatchObject({ verdict: 'passed', waitedSeconds: 95 });
    expect(calls.length).toBeLessThanOrEqual(21);
  });

  test('of two services passes only when both serve at the same time', async () => {
    const watched = [target('registered', { change: { kind: 'registered', at: -1 } })];
    const groups = [ARN, OTHER].map((arn) => ({ arn, policy: quick, watched }));
    const answer = (seconds: number, arn: string) => {
      if (arn === OTHER) return seconds < 30 ? INITIAL : HEALTHY;
      return seconds > 25 && seconds < 35 ? UNHEALTHY : freshThenHealthy(seconds);
    };
    const { verdict, waitedSeconds } = await play(answer, { groups }).result;
    expect({ verdict, late: waitedSeconds >= 45 }).toEqual({ verdict: 'passed', late: true });
  });
});

describe('a bad deploy', () => {
  test('that answers 502 fails at its limit, with the words of the load balancer', async () => {
    const { result, lines } = play((seconds) => (seconds < 7 ? INITIAL : UNHEALTHY));
    const failed = await result;
    expect(failed).toMatchObject({
      verdict: 'failed',
      reason: { code: 'TARGET_CODE_MISMATCH', where: 'i-0000000000000000a:8080' },
      waitedSeconds: 120,
      targets: [{ outcome: 'failed', albDescription: 'Health checks failed with these codes: [502]' }],
    });
    expect(lines.at(-1)).toContain('Health checks failed with these codes: [502]');
  });

  test('is asked about slowly until the load balancer could have changed its mind', async () => {
    const groups = [{ arn: ARN, policy: usual, watched: [target('swapped')] }];
    const { result, calls } = play((seconds) => (seconds < 60 ? HEALTHY : UNHEALTHY), { groups });
    expect(await result).toMatchObject({ verdict: 'failed', waitedSeconds: 275 });
    const during = calls.filter(({ at }) => at > 60 && at < 175);
    expect(during.length).toBeLessThan(27);
  });

  test('on a stopped instance fails at once', async () => {
    const { result } = play(() => ({ state: 'unused', reason: 'Target.InvalidState' }));
    expect(await result).toMatchObject({
      verdict: 'failed',
      waitedSeconds: 0,
      reason: { code: 'TARGET_INSTANCE_NOT_RUNNING' },
    });
  });

  test('never outlives the total limit, not even by a poll', async () => {
    const policy = {
      ...policyFor({ healthCheck: QUICK_CHECK }),
      targetSeconds: 500,
      progressSeconds: 500,
      totalSeconds: 31,
    };
    const groups = [{ arn: ARN, policy, watched: [target('registered', { change: { kind: 'registered', at: -1 } })] }];
    expect(await play(() => ({ state: 'draining' }), { groups }).result).toMatchObject({
      verdict: 'failed',
      waitedSeconds: 31,
    });
  });

  test('without any group or target is not a success', async () => {
    expect(await play(() => HEALTHY, { groups: [] }).result).toMatchObject({
      verdict: 'failed',
      reason: { code: 'GATE_NO_TARGETS' },
    });
    const groups = [{ arn: ARN, policy: quick, watched: [] }];
    expect(await play(() => HEALTHY, { groups }).result).toMatchObject({ verdict: 'failed' });
  });
});

describe('when AWS does not answer', () => {
  test('throttling and server errors make it ask more slowly, are told once each, and fail nothing', async () => {
    const { result, calls, lines } = play((seconds) => {
      if (seconds > 1 && seconds < 20) return throttled;
      return seconds > 30 && seconds < 33 ? broken : freshThenHealthy(seconds);
    });
    expect(await result).toMatchObject({ verdict: 'passed' });
    const during = calls.filter(({ at }) => at > 1 && at < 20).map(({ at }) => at);
    expect(during).toEqual([2, 6, 14]);
    expect(lines.filter((line) => line.includes('Asking more slowly'))).toHaveLength(2);
    expect(lines.filter((line) => line.includes('answers again'))).toHaveLength(2);
  });

  test('for good, the limit ends it at the next call', async () => {
    const { result, calls } = play(() => throttled);
    expect(await result).toMatchObject({
      verdict: 'failed',
      waitedSeconds: 124,
      reason: { code: 'TARGET_NOT_OBSERVED' },
    });
    expect(calls.length).toBeLessThan(20);
  });

  test.each([
    ['AWS_ACCESS_DENIED', denied],
    ['TARGET_GROUP_NOT_FOUND', missing],
  ])('%s ends it at once', async (_, error) => {
    const { result, calls } = play((seconds) => (seconds < 5 ? INITIAL : error));
    expect(await result).toMatchObject({
      verdict: 'failed',
      problems: error.problems,
      targets: [{ albState: 'initial' }],
    });
    expect(calls.at(-1)?.at).toBe(6);
  });

  test('an error of our own is thrown, not swallowed', async () => {
    await expect(play(() => new TypeError('a bug')).result).rejects.toThrow('a bug');
  });

  test('a stretch does not count across the silence', async () => {
    const answer = (seconds: number) => (seconds > 9 && seconds < 45 ? throttled : freshThenHealthy(seconds));
    const { waitedSeconds } = await play(answer).result;
    expect(waitedSeconds).toBeGreaterThanOrEqual(55);
  });
});

describe('an abort', () => {
  test('ends the wait at once, with its reason', async () => {
    const clock = new GateClock();
    const abort = new AbortController();
    clock.after(5000, () => abort.abort(new Error('The run was cancelled.')));
    const { result, calls } = play(() => INITIAL, { clock, signal: abort.signal });
    await expect(result).rejects.toThrow('The run was cancelled.');
    expect([clock.now(), calls.at(-1)?.at]).toEqual([5000, 4]);
  });

  test('before the start asks nothing', async () => {
    const { result, calls } = play(() => INITIAL, { signal: AbortSignal.abort(new Error('cancelled')) });
    await expect(result).rejects.toThrow('cancelled');
    expect(calls).toEqual([]);
  });

  test('also ends a look at the hosts that is under way', async () => {
    const clock = new GateClock();
    const abort = new AbortController();
    clock.after(15_000, () => abort.abort(new Error('cancelled')));
    let aborted = false;
    const inspect: Inspect = (_, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          aborted = true;
          reject(signal.reason);
        });
      });
    const groups = [{ arn: ARN, policy: quick, watched: [withContainer('registered')] }];
    await expect(play(() => INITIAL, { clock, signal: abort.signal, inspect, groups }).result).rejects.toThrow(
      'cancelled',
    );
    expect(aborted).toBe(true);
  });
});

describe('with containers to look at', () => {
  const groups = [
    {
      arn: ARN,
      policy: quick,
      watched: [{ ...withContainer('registered'), change: { kind: 'registered', at: -1 } } as const],
    },
  ];

  test('looks twice in one stretch, the second time after the load balancer agrees', async () => {
    const { result, looks } = play(freshThenHealthy, { groups, look: () => [container()] });
    expect(await result).toMatchObject({
      verdict: 'passed',
      targets: [{ containerId: 'c0ffee000000', restarts: 0, verifiedAt: 20_000 }],
    });
    expect(looks).toEqual([
      { reason: 'compare', at: 8 },
      { reason: 'verify', at: 20 },
    ]);
  });

  test('decides as soon as the second look is back', async () => {
    const { result } = play(freshThenHealthy, { groups, look: () => [container()], lookSeconds: 1 });
    expect(await result).toMatchObject({ verdict: 'passed', waitedSeconds: 21, targets: [{ verifiedAt: 20_000 }] });
  });

  test('finds a crash loop while the load balancer still waits, at most every ten seconds', async () => {
    const look = (seconds: number) => [container({ state: 'restarting', restarts: Math.floor(seconds) })];
    const { result, looks } = play(() => INITIAL, { groups, look });
    expect(await result).toMatchObject({ verdict: 'failed', reason: { code: 'CONTAINER_RESTARTING' } });
    expect(looks).toEqual([
      { reason: 'unhealthy', at: 10 },
      { reason: 'unhealthy', at: 20 },
    ]);
  });

  test('a version that serves at first and crashes later is no success', async () => {
    const look = (seconds: number) => [container(seconds < 15 ? {} : { restarts: 1, startedAt: 13 })];
    const { result } = play(freshThenHealthy, { groups, look });
    expect(await result).toMatchObject({ verdict: 'failed', reason: { code: 'CONTAINER_RESTARTED' } });
  });

  test('the wrong image behind a healthy target is no success', async () => {
    const { result } = play(freshThenHealthy, { groups, look: () => [container({ digest: 'sha256:old' })] });
    expect(await result).toMatchObject({ verdict: 'failed', reason: { code: 'WRONG_DIGEST' } });
  });

  test('a slow look does not hold up the load balancer, a hung one not the limit', async () => {
    const slow = play(freshThenHealthy, { groups, look: () => [container()], lookSeconds: 25 });
    expect(await slow.result).toMatchObject({ verdict: 'passed' });
    expect(
      Math.max(...slow.calls.slice(1).map(({ at }, index) => at - (slow.calls[index]?.at ?? 0))),
    ).toBeLessThanOrEqual(5.1);
    const hung = play(freshThenHealthy, { groups, look: () => [container()], lookSeconds: 100_000 });
    expect(await hung.result).toMatchObject({
      verdict: 'failed',
      waitedSeconds: 138,
      reason: { code: 'CONTAINER_NOT_VERIFIED' },
    });
  });

  test('hosts that can not be reached are told and tried again', async () => {
    const offline = problem('HOST_UNREACHABLE', 'i-a did not take the command.');
    const { result, lines } = play(freshThenHealthy, {
      groups,
      look: (seconds) => (seconds < 15 ? offline : [container()]),
    });
    expect(await result).toMatchObject({ verdict: 'passed' });
    expect(lines.filter((line) => line.includes('did not take the command')).length).toBeGreaterThan(0);
  });

  test('nobody to look at them is a mistake of the caller', async () => {
    await expect(play(freshThenHealthy, { groups }).result).rejects.toThrow('nothing can look');
  });
});
