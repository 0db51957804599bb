import { describe, expect, test } from '@jest/globals';
import {
  A,
  answers,
  B,
  balancer,
  container,
  DIGEST,
  DRAINING,
  failureOf,
  HEALTHY,
  hosts,
  INITIAL,
  quick,
  target,
  UNHEALTHY,
  usual,
  verdictOf,
  withContainer,
} from './fixtures.js';

const stateAfter = (options: Parameters<typeof verdictOf>[0]) => verdictOf(options).state;

describe('a fresh target', () => {
  test('is proven once it was healthy for a whole stretch after it was seen new', () => {
    const start = [balancer(1, INITIAL), balancer(3, HEALTHY), balancer(8, HEALTHY)];
    expect(stateAfter({ observations: [...start, balancer(12, HEALTHY)] })).toBe('waiting');
    expect(verdictOf({ observations: [...start, balancer(13, HEALTHY)] })).toMatchObject({
      state: 'passed',
      proof: [{ ...A, outcome: 'proven', healthySince: 3000, healthyUntil: 13000, observations: 3, checksCovered: 1 }],
    });
  });

  test('that was never seen new is not believed before the observation window is over', () => {
    const observations = answers(1, 34, HEALTHY, 1);
    expect(stateAfter({ observations })).toBe('waiting');
    expect(stateAfter({ observations: [...observations, ...answers(35, 36, HEALTHY, 1)] })).toBe('passed');
  });

  test('does not count what the load balancer said before the registration, or at that moment', () => {
    const watched = [target('registered', { change: { kind: 'registered', at: 10_000 } })];
    const observations = [...answers(0, 10, INITIAL), ...answers(11, 21, HEALTHY)];
    expect(stateAfter({ watched, observations })).toBe('waiting');
  });

  test('that is draining still has its old verdict to inherit', () => {
    expect(stateAfter({ observations: [balancer(1, DRAINING), ...answers(2, 20, HEALTHY)] })).toBe('waiting');
  });

  test('may start slowly: unhealthy for minutes, then proven', () => {
    const observations = [balancer(1, INITIAL), ...answers(3, 101, UNHEALTHY), ...answers(103, 113, HEALTHY)];
    expect(stateAfter({ observations: observations.slice(0, -1) })).toBe('waiting');
    expect(stateAfter({ observations })).toBe('passed');
  });
});

describe('a target that was swapped in place', () => {
  test("keeps its old container's verdict for the observation window, so it proves nothing", () => {
    const watched = [target('swapped')];
    const verdict = verdictOf({ policy: usual, watched, observations: answers(1, 65, HEALTHY) });
    expect(verdict).toMatchObject({ state: 'waiting', until: 65_000 });
    expect(verdict).toHaveProperty('waitingFor', expect.stringContaining('observation window'));
  });

  test('is proven a stretch after the window', () => {
    const observations = answers(1, 95, HEALTHY);
    expect(stateAfter({ policy: usual, watched: [target('swapped')], observations })).toBe('waiting');
    const more = [...observations, balancer(97, HEALTHY)];
    expect(stateAfter({ policy: usual, watched: [target('swapped')], observations: more })).toBe('passed');
  });

  test('whose new container fails is healthy at first and never proven', () => {
    const observations = [...answers(1, 61, HEALTHY), ...answers(63, 273, UNHEALTHY)];
    const watched = [target('swapped')];
    expect(stateAfter({ policy: usual, watched, observations })).toBe('waiting');
    expect(failureOf(verdictOf({ policy: usual, watched, observations, now: 275 }))).toBe('TARGET_CODE_MISMATCH');
  });
});

describe('a target where nothing ran before, and that was not healthy', () => {
  test('has no old verdict to repeat, so its first healthy begins the stretch', () => {
    const observations = [...answers(1, 5, UNHEALTHY), ...answers(7, 37, HEALTHY)];
    const watched = [target('started')];
    expect(stateAfter({ policy: usual, watched, observations: observations.slice(0, -1) })).toBe('waiting');
    expect(stateAfter({ policy: usual, watched, observations })).toBe('passed');
  });

  test('is not helped by what was said before the container was started', () => {
    const watched = [target('started', { change: { kind: 'started', at: 20_000 } })];
    const observations = [...answers(1, 19, HEALTHY), ...answers(21, 41, HEALTHY)];
    expect(stateAfter({ policy: usual, watched, observations })).toBe('waiting');
  });
});

describe('the stretch', () => {
  test('starts again after any other state, however short', () => {
    const observations = [
      balancer(1, INITIAL),
      ...answers(3, 11, HEALTHY),
      balancer(12, DRAINING),
      balancer(13, HEALTHY),
    ];
    expect(stateAfter({ observations: [...observations, balancer(22, HEALTHY)] })).toBe('waiting');
    expect(stateAfter({ observations: [...observations, balancer(23, HEALTHY)] })).toBe('passed');
  });

  test('is broken by a gap between observations: nobody looked', () => {
    const observations = [balancer(1, INITIAL), balancer(3, HEALTHY), balancer(14, HEALTHY)];
    expect(stateAfter({ observations })).toBe('waiting');
    expect(stateAfter({ observations: [...observations, balancer(24, HEALTHY)] })).toBe('passed');
  });

  test('is as short as slow answers allow: from the first answer to the last question', () => {
    const slow = { ...balancer(15, HEALTHY), askedAt: 12_000 };
    expect(stateAfter({ observations: [balancer(1, INITIAL), balancer(5, HEALTHY), slow] })).toBe('waiting');
    expect(stateAfter({ observations: [balancer(1, INITIAL), balancer(5, HEALTHY), balancer(15, HEALTHY)] })).toBe(
      'passed',
    );
  });

  test('is not broken by an answer that arrives out of order', () => {
    const observations = [
      balancer(1, INITIAL),
      ...answers(3, 11, HEALTHY),
      balancer(5, UNHEALTHY),
      balancer(13, HEALTHY),
    ];
    expect(stateAfter({ observations })).toBe('passed');
  });

  test('is no proof of a moment long after it', () => {
    const observations = [balancer(1, INITIAL), ...answers(3, 13, HEALTHY)];
    expect(stateAfter({ observations, now: 23 })).toBe('passed');
    expect(stateAfter({ observations, now: 24 })).toBe('waiting');
  });
});

describe('every state and reason of the load balancer', () => {
  const finals: [string, string, string][] = [
    ['unused', 'Target.NotInUse', 'TARGET_NOT_IN_USE'],
    ['unused', 'Target.InvalidState', 'TARGET_INSTANCE_NOT_RUNNING'],
    ['unused', 'Target.IpUnusable', 'TARGET_IP_UNUSABLE'],
  ];
  test.each(finals)('%s with %s fails at once', (state, reason, code) => {
    expect(failureOf(verdictOf({ observations: [balancer(1, { state, reason })] }))).toBe(code);
  });

  const waiting: [string, string | undefined, string][] = [
    ['initial', 'Elb.RegistrationInProgress', 'TARGET_STILL_INITIAL'],
    ['initial', 'Elb.InitialHealthChecking', 'TARGET_STILL_INITIAL'],
    ['unhealthy', 'Target.ResponseCodeMismatch', 'TARGET_CODE_MISMATCH'],
    ['unhealthy', 'Target.Timeout', 'TARGET_TIMEOUT'],
    ['unhealthy', 'Target.FailedHealthChecks', 'TARGET_CONNECTION_FAILED'],
    ['unhealthy', 'Elb.InternalError', 'LOAD_BALANCER_ERROR'],
    ['unhealthy', undefined, 'TARGET_UNHEALTHY'],
    ['unhealthy.draining', undefined, 'TARGET_DRAINING'],
    ['draining', 'Target.DeregistrationInProgress', 'TARGET_DRAINING'],
    ['unused', 'Elb.Something', 'TARGET_UNUSED'],
    ['unavailable', 'Target.HealthCheckDisabled', 'TARGET_CHECKS_DISABLED'],
    ['unavailable', 'Elb.InternalError', 'TARGET_HEALTH_UNAVAILABLE'],
    ['perfect', 'Elb.NewWord', 'TARGET_STATE_UNKNOWN'],
  ];
  test.each(waiting)('%s with %s waits, and is named when the time is over', (state, reason, code) => {
    const words = reason === undefined ? { state } : { state, reason };
    expect(stateAfter({ observations: answers(1, 119, words) })).toBe('waiting');
    const end = verdictOf({ observations: answers(1, 121, words) });
    expect(failureOf(end)).toBe(code);
    expect(end).toHaveProperty('reason.message', expect.stringContaining(state));
  });

  test('a target that is not listed is forgiven for the time that a registration takes to show, not longer', () => {
    expect(stateAfter({ observations: answers(1, 29, undefined) })).toBe('waiting');
    expect(failureOf(verdictOf({ observations: answers(1, 31, undefined) }))).toBe('TARGET_NOT_REGISTERED');
    const words = { state: 'unused', reason: 'Target.NotRegistered' };
    expect(failureOf(verdictOf({ observations: answers(1, 31, words) }))).toBe('TARGET_NOT_REGISTERED');
    const back = [...answers(1, 25, undefined), balancer(27, INITIAL), ...answers(29, 35, undefined)];
    expect(stateAfter({ observations: back })).toBe('waiting');
  });

  test('what does not heal stays failed, whatever is observed later', () => {
    const stopped = balancer(1, { state: 'unused', reason: 'Target.InvalidState' });
    expect(failureOf(verdictOf({ observations: [stopped, balancer(2, INITIAL), ...answers(3, 60, HEALTHY)] }))).toBe(
      'TARGET_INSTANCE_NOT_RUNNING',
    );
  });
});

describe('the limits', () => {
  test('a target has its own time from its change on', () => {
    const watched = [target('registered', { change: { kind: 'registered', at: 30_000 } })];
    const observations = answers(31, 160, UNHEALTHY);
    expect(stateAfter({ watched, observations, now: 149.9, policy: { ...quick, progressSeconds: 600 } })).toBe(
      'waiting',
    );
    const verdict = verdictOf({ watched, observations, now: 150, policy: { ...quick, progressSeconds: 600 } });
    expect(verdict).toHaveProperty('reason.message', expect.stringContaining('time for one target of 2m'));
  });

  test('without a step forward the gate ends before that', () => {
    const policy = { ...quick, progressSeconds: 40 };
    const verdict = verdictOf({ policy, observations: answers(1, 45, UNHEALTHY) });
    expect(verdict).toHaveProperty('reason.message', expect.stringContaining('time without progress of 40s'));
  });

  test('without a single answer it ends too', () => {
    expect(stateAfter({ observations: [], now: 119 })).toBe('waiting');
    expect(failureOf(verdictOf({ observations: [], now: 120 }))).toBe('TARGET_NOT_OBSERVED');
  });

  test('a target that flaps is named unstable', () => {
    const flapping = answers(3, 125, HEALTHY).map((look, index) =>
      index % 4 === 3 ? balancer(look.at / 1000, UNHEALTHY) : look,
    );
    expect(failureOf(verdictOf({ observations: [balancer(1, INITIAL), ...flapping], now: 124 }))).toBe(
      'TARGET_UNSTABLE',
    );
  });
});

describe('several targets', () => {
  const watched = [target('registered'), target('registered', B)];
  const both = (seconds: number, a: object, b: object) => ({
    ...balancer(seconds, undefined),
    targets: [
      { ...A, ...(a as { state: string }) },
      { ...B, ...(b as { state: string }) },
    ],
  });
  const half = [both(1, INITIAL, INITIAL), ...[3, 8, 13, 18].map((at) => both(at, HEALTHY, UNHEALTHY))];

  test('must all be proven at the same time', () => {
    expect(verdictOf({ watched, observations: half })).toMatchObject({
      state: 'waiting',
      perTarget: [{ outcome: 'proven' }, { outcome: 'waiting', albReason: 'Target.ResponseCodeMismatch' }],
    });
    const lost = [...half, both(20, UNHEALTHY, HEALTHY), both(25, UNHEALTHY, HEALTHY), both(30, UNHEALTHY, HEALTHY)];
    expect(verdictOf({ watched, observations: lost })).toMatchObject({
      state: 'waiting',
      perTarget: [{ outcome: 'waiting' }, { outcome: 'proven' }],
    });
  });

  test('a tolerance that was asked for lets one of them stay behind, and says which', () => {
    expect(verdictOf({ policy: { ...quick, minimumHealthy: 1 }, watched, observations: half })).toMatchObject({
      state: 'passed',
      proof: [{ outcome: 'proven' }, { outcome: 'waiting', ...B }],
    });
  });

  test('fail as soon as the minimum is out of reach, with all that is known', () => {
    const stopped = { state: 'unused', reason: 'Target.InvalidState', description: 'Target is in the stopped state' };
    const one = [both(1, INITIAL, stopped)];
    expect(stateAfter({ policy: { ...quick, minimumHealthy: 1 }, watched, observations: one })).toBe('waiting');
    expect(failureOf(verdictOf({ watched, observations: one }))).toBe('TARGET_INSTANCE_NOT_RUNNING');
    expect(verdictOf({ watched, observations: [both(1, stopped, stopped)] })).toMatchObject({
      problems: [{ where: 'i-0000000000000000a:8080, i-0000000000000000b:8080' }],
    });
  });

  test('none at all is a failure, not a proof', () => {
    expect(failureOf(verdictOf({ watched: [], observations: answers(1, 60, HEALTHY) }))).toBe('GATE_NO_TARGETS');
  });

  test('more asked for than watched is a failure', () => {
    const policy = { ...quick, minimumHealthy: 3 };
    expect(failureOf(verdictOf({ policy, watched, observations: half }))).toBe('GATE_MINIMUM_UNREACHABLE');
  });

  test('the same target twice is one target', () => {
    const policy = { ...quick, minimumHealthy: 2 };
    const twice = [target('registered'), target('registered')];
    const observations = [balancer(1, INITIAL), ...answers(3, 13, HEALTHY)];
    expect(failureOf(verdictOf({ policy, watched: twice, observations }))).toBe('GATE_MINIMUM_UNREACHABLE');
  });
});

describe('the containers behind a target', () => {
  const watched = [withContainer('registered')];
  const served = [balancer(1, INITIAL), balancer(3, HEALTHY)];
  const until = (seconds: number) => answers(5, seconds, HEALTHY);

  test('are looked at twice in one stretch before the load balancer is believed', () => {
    const first = [...served, hosts(3), ...until(13)];
    expect(verdictOf({ watched, observations: first })).toMatchObject({
      state: 'waiting',
      waitingFor: expect.stringContaining('the hosts to confirm'),
    });
    expect(verdictOf({ watched, observations: [...first, hosts(14)] })).toMatchObject({
      state: 'passed',
      proof: [{ containerId: 'c0ffee000000', digest: DIGEST, restarts: 0, verifiedAt: 14_000 }],
    });
  });

  test('two looks at nearly the same moment are one', () => {
    expect(stateAfter({ watched, observations: [...served, ...until(15), hosts(15), hosts(16)] })).toBe('waiting');
    const apart = [...served, ...until(15), hosts(15), ...answers(17, 25, HEALTHY), hosts(25)];
    expect(stateAfter({ watched, observations: apart })).toBe('passed');
  });

  test('a look from before the stretch does not verify it', () => {
    expect(
      stateAfter({ watched, observations: [balancer(1, INITIAL), hosts(2), ...served, ...until(13), hosts(14)] }),
    ).toBe('waiting');
  });

  test('nor does one that was asked for before it began, or before it was long enough', () => {
    const early = { ...hosts(4), askedAt: 2000 };
    expect(stateAfter({ watched, observations: [...served, early, ...until(15), hosts(15)] })).toBe('waiting');
    const hasty = { ...hosts(34), askedAt: 20_000 };
    const observations = [...served, hosts(4), ...until(33)];
    expect(stateAfter({ policy: usual, watched, observations: [...observations, hasty] })).toBe('waiting');
    expect(stateAfter({ policy: usual, watched, observations: [...observations, hosts(34)] })).toBe('passed');
  });

  test('the looks of a broken stretch do not verify the next one', () => {
    const broken = [...served, hosts(3), ...until(13), balancer(14, UNHEALTHY), ...answers(15, 25, HEALTHY)];
    expect(stateAfter({ watched, observations: [...broken, hosts(26)] })).toBe('waiting');
    const verified = [
      ...served,
      hosts(3),
      ...until(13),
      hosts(13),
      balancer(14, UNHEALTHY),
      ...answers(15, 25, HEALTHY),
    ];
    expect(stateAfter({ watched, observations: verified })).toBe('waiting');
  });

  test('a container that does not run does not verify either', () => {
    const paused = { state: 'paused' };
    expect(stateAfter({ watched, observations: [...served, hosts(3, paused), ...until(13), hosts(14, paused)] })).toBe(
      'waiting',
    );
  });

  test('a container that is restarting or another one has restarted, whatever its count says', () => {
    const stable = [...served, hosts(3), ...until(13)];
    expect(failureOf(verdictOf({ watched, observations: [...stable, hosts(14, { state: 'restarting' })] }))).toBe(
      'CONTAINER_RESTARTED',
    );
    const nameless = [target('registered', { containers: [{ service: 'web', digest: DIGEST }] })];
    expect(
      failureOf(verdictOf({ watched: nameless, observations: [...stable, hosts(14, { id: 'deadbeef0000' })] })),
    ).toBe('CONTAINER_RESTARTED');
  });

  test('a container that crashed three seconds after its first good answer is not success', () => {
    const crash = [...served, hosts(3), ...until(13), hosts(14, { restarts: 1, startedAt: 6 })];
    expect(failureOf(verdictOf({ watched, observations: crash }))).toBe('CONTAINER_RESTARTED');
  });

  test('a restart by hand shows in the start time alone, and counts', () => {
    const restarted = [...served, hosts(3), ...until(13), hosts(14, { startedAt: 6 })];
    expect(failureOf(verdictOf({ watched, observations: restarted }))).toBe('CONTAINER_RESTARTED');
  });

  test('a restart while the application waits for its database only starts the stretch again', () => {
    const slow = [balancer(1, INITIAL), hosts(2), balancer(3, HEALTHY), hosts(4, { restarts: 1, startedAt: 3 })];
    const again = [...slow, balancer(5, HEALTHY), hosts(5, { restarts: 1, startedAt: 3 }), ...answers(7, 15, HEALTHY)];
    expect(stateAfter({ watched, observations: [...again, hosts(15, { restarts: 1, startedAt: 3 })] })).toBe('passed');
  });

  test.each([
    ['exited', hosts(2, { state: 'exited', exitCode: 1 }), 'CONTAINER_EXITED'],
    ['runs another image', hosts(2, { digest: `sha256:${'b'.repeat(64)}` }), 'WRONG_DIGEST'],
    ['was replaced', hosts(2, { id: 'deadbeef0000' }), 'CONTAINER_REPLACED'],
  ])('one that %s fails at once, whatever the load balancer says', (_, look, code) => {
    expect(failureOf(verdictOf({ watched, observations: [balancer(1, INITIAL), look] }))).toBe(code);
  });

  test('a crash loop fails at once, after its third restart or when it is found restarting twice', () => {
    const loop = [balancer(1, INITIAL), hosts(2), hosts(12, { restarts: 2 })];
    expect(stateAfter({ watched, observations: loop })).toBe('waiting');
    expect(failureOf(verdictOf({ watched, observations: [...loop, hosts(22, { restarts: 3 })] }))).toBe(
      'CONTAINER_RESTARTING',
    );
    const twice = [2, 12].map((at) => hosts(at, { state: 'restarting', restarts: 9 }));
    expect(failureOf(verdictOf({ watched, observations: twice }))).toBe('CONTAINER_RESTARTING');
  });

  test('one that is gone when the load balancer agrees fails; a host that says nothing is waited for', () => {
    const stable = [...served, hosts(3), ...until(13)];
    expect(stateAfter({ watched, observations: [...stable, hosts(14, 'gone')] })).toBe('waiting');
    expect(failureOf(verdictOf({ watched, observations: [...stable, hosts(14, { service: 'other' })] }))).toBe(
      'CONTAINER_MISSING',
    );
  });

  test('hosts that never report end the gate with a name', () => {
    const verdict = verdictOf({ watched, observations: [...served, ...answers(5, 181, HEALTHY)] });
    expect(failureOf(verdict)).toBe('CONTAINER_NOT_VERIFIED');
  });

  test('a look that was asked for before the swap is about the old container', () => {
    const later = [{ ...withContainer('swapped'), change: { kind: 'swapped', at: 5000 } } as const];
    expect(stateAfter({ watched: later, observations: [hosts(4, { digest: 'sha256:old' })] })).toBe('waiting');
  });

  test('no known container is a failure, not a proof', () => {
    expect(failureOf(verdictOf({ watched: [target('registered', { containers: [] })], observations: served }))).toBe(
      'CONTAINER_MISSING',
    );
  });

  test('a job beside the server may have done its work; the server itself may not', () => {
    const beside = [
      target('registered', {
        containers: [
          { service: 'web', digest: DIGEST },
          { service: 'job', digest: DIGEST },
        ],
      }),
    ];
    const look = (seconds: number, exitCode: number) => ({
      ...hosts(seconds),
      containers: [container(), container({ service: 'job', state: 'exited', exitCode })],
    });
    expect(stateAfter({ watched: beside, observations: [...served, look(3, 0), ...until(13), look(14, 0)] })).toBe(
      'passed',
    );
    expect(failureOf(verdictOf({ watched: beside, observations: [...served, look(3, 1)] }))).toBe('CONTAINER_EXITED');
    expect(failureOf(verdictOf({ watched, observations: [...served, hosts(3, { state: 'exited' })] }))).toBe(
      'CONTAINER_EXITED',
    );
  });

  test('every container of the host counts, not only the one with the port', () => {
    const two = [
      {
        ...watched[0],
        ...A,
        change: { kind: 'registered', at: 0 },
        containers: [
          { service: 'web', digest: DIGEST },
          { service: 'api', digest: DIGEST },
        ],
      } as const,
    ];
    const look = {
      ...hosts(3),
      containers: [container(), container({ service: 'api', id: 'a', state: 'exited', exitCode: 1 })],
    };
    expect(failureOf(verdictOf({ watched: two, observations: [...served, look] }))).toBe('CONTAINER_EXITED');
  });
});
