import { describe, expect, test } from '@jest/globals';
import { HealthMonitor } from '../../lab/balancer/health-monitor.js';
import type { CheckResult } from '../../lab/balancer/target-health.js';
import { gate } from '../../src/gate/loop.js';
import { policyFor } from '../../src/gate/policy.js';
import type { Change } from '../../src/gate/watched.js';
import { A, DEFAULT_CHECK, QUICK_CHECK } from './fixtures.js';
import { GateClock } from './gate-clock.js';

const PASS: CheckResult = { kind: 'pass' };
const REFUSED: CheckResult = { kind: 'failed' };
const TARGET = { id: A.instance, port: A.port };

/** The old version has served for minutes; then something is done, and the gate decides on it. */
function stage(healthCheck = QUICK_CHECK, reRegisterWhileDraining: 'immediate' | 'stays-draining' = 'immediate') {
  const clock = new GateClock();
  let serves: () => CheckResult = () => PASS;
  const monitor = new HealthMonitor({
    clock,
    send: async () => serves(),
    policy: () => ({
      ...healthCheck,
      deregistrationDelaySeconds: 30,
      registrationMilliseconds: 1000,
      reRegisterWhileDraining,
    }),
    checks: () => ({ ...healthCheck, protocol: 'HTTP' }),
    surroundings: () => ({ instance: 'running', groupInUse: true, zoneEnabled: true, checked: true }),
    locate: () => ({ host: '10.0.0.1', port: A.port, privateIp: '10.0.0.1' }),
  });
  const health = async () =>
    monitor.targets().map(({ id: instance, port }) => {
      const { State: state, Reason, Description } = monitor.health({ id: instance, port });
      return {
        instance,
        port,
        state,
        ...(Reason ? { reason: Reason } : {}),
        ...(Description ? { description: Description } : {}),
      };
    });
  return {
    clock,
    monitor,
    health,
    become: (version: () => CheckResult) => {
      serves = version;
    },
    wait: (seconds: number) => clock.play(clock.sleep(seconds * 1000)),
    decide: (kind: Change['kind']) => {
      const change = { kind, at: clock.now() };
      return clock.play(
        gate({
          groups: [{ arn: 'group', policy: policyFor({ healthCheck }), watched: [{ ...A, change }] }],
          targetGroups: { health },
          clock,
          random: () => 0.5,
          log: { info: () => {}, warning: () => {}, debug: () => {}, group: (_, work) => work() },
        }),
      );
    },
  };
}

/** Swapping at any moment between two checks. */
const moments = Array.from({ length: 11 }, (_, index) => 100 + index * 0.97);

describe('against a load balancer that checks by itself', () => {
  test.each([
    ['10 s, 2, 2', QUICK_CHECK],
    ['30 s, 5, 2', DEFAULT_CHECK],
  ])('a broken version swapped in place is called healthy for a while, and never passes (%s)', async (_, check) => {
    for (const moment of moments) {
      const { monitor, wait, become, decide, health } = stage(check);
      monitor.register(TARGET);
      await wait(moment);
      become(() => REFUSED);
      expect(await health()).toMatchObject([{ state: 'healthy' }]);
      expect(await decide('swapped')).toMatchObject({
        verdict: 'failed',
        reason: { code: 'TARGET_CONNECTION_FAILED' },
      });
    }
  });

  test('a good version swapped in place passes after the window and a stretch', async () => {
    for (const moment of moments) {
      const { monitor, wait, become, decide } = stage();
      monitor.register(TARGET);
      await wait(moment);
      become(() => PASS);
      const { verdict, waitedSeconds } = await decide('swapped');
      expect(verdict).toBe('passed');
      expect(waitedSeconds).toBeLessThanOrEqual(25 + 10 + 6);
    }
  });

  test('a slow start behind a swap passes once it serves', async () => {
    const { monitor, wait, become, decide, clock } = stage();
    monitor.register(TARGET);
    await wait(100);
    const ready = clock.now() + 50_000;
    become(() => (clock.now() < ready ? REFUSED : PASS));
    expect(await decide('swapped')).toMatchObject({ verdict: 'passed' });
    expect(clock.now()).toBeGreaterThan(ready + 10_000);
  });

  test('a registration passes after its first check and a stretch, without the window', async () => {
    const { monitor, decide } = stage();
    monitor.register(TARGET);
    const { verdict, waitedSeconds } = await decide('registered');
    expect(verdict).toBe('passed');
    expect(waitedSeconds).toBeLessThanOrEqual(15);
  });

  test('a registration that was there already keeps its verdict, so it is not taken for a new one', async () => {
    for (const moment of moments) {
      const { monitor, wait, become, decide } = stage();
      monitor.register(TARGET);
      await wait(moment);
      become(() => REFUSED);
      monitor.register(TARGET);
      expect(await decide('registered')).toMatchObject({ verdict: 'failed' });
    }
  });

  test('a registration that is lost at the end of its drain is named', async () => {
    const { monitor, wait, decide } = stage(QUICK_CHECK, 'stays-draining');
    monitor.register(TARGET);
    await wait(100);
    monitor.deregister(TARGET);
    monitor.register(TARGET);
    expect(await decide('registered')).toMatchObject({ verdict: 'failed', reason: { code: 'TARGET_NOT_REGISTERED' } });
  });
});
