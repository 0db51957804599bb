import { describe, expect, test } from '@jest/globals';
import {
  type CheckResult,
  type HealthPolicy,
  isChecked,
  NOT_REGISTERED,
  nextChange,
  report,
  type Surroundings,
  step,
  type TargetEvent,
  type TargetPhase,
} from '../../lab/balancer/target-health.js';

const policy: HealthPolicy = {
  healthyThreshold: 5,
  unhealthyThreshold: 2,
  deregistrationDelaySeconds: 300,
  registrationMilliseconds: 1000,
  reRegisterWhileDraining: 'immediate',
};
const serving: Surroundings = { instance: 'running', groupInUse: true, zoneEnabled: true, checked: true };

const register = (at: number, surroundings = serving): TargetEvent => ({ kind: 'register', at, surroundings });
const change = (at: number, surroundings: Partial<Surroundings>): TargetEvent => ({
  kind: 'surroundings',
  at,
  surroundings: { ...serving, ...surroundings },
});
const deregister = (at: number): TargetEvent => ({ kind: 'deregister', at });
const time = (at: number): TargetEvent => ({ kind: 'time', at });
const check = (result: CheckResult): TargetEvent => ({ kind: 'check', at: 0, result });
const pass = check({ kind: 'pass' });
const refused = check({ kind: 'failed' });
const code = (status: number) => check({ kind: 'code', status });

const phaseAfter = (events: readonly TargetEvent[], from: TargetPhase = NOT_REGISTERED, how: HealthPolicy = policy) =>
  events.reduce((phase, event) => step(phase, event, how), from);
const states = (events: readonly TargetEvent[], how: HealthPolicy = policy) =>
  events.map((_, index) => report(phaseAfter(events.slice(0, index + 1), NOT_REGISTERED, how)).State);

const initial = phaseAfter([register(0), time(1000)]);
const healthy = phaseAfter([pass], initial);

describe('a new target', () => {
  test('is registered, checked, and healthy after one pass', () => {
    const phases = [register(0), time(1000), pass].map((_, index, events) => phaseAfter(events.slice(0, index + 1)));
    expect(phases.map(report)).toEqual([
      {
        State: 'initial',
        Reason: 'Elb.RegistrationInProgress',
        Description: 'Target registration is in progress',
      },
      { State: 'initial', Reason: 'Elb.InitialHealthChecking', Description: 'Initial health checks in progress' },
      { State: 'healthy' },
    ]);
    expect(phases.map(isChecked)).toEqual([false, true, true]);
  });

  test('that starts slowly is healthy after its first pass if fewer checks failed than the threshold', () => {
    expect(states([register(0), time(1000), refused, pass])).toEqual(['initial', 'initial', 'initial', 'healthy']);
  });

  test('that never answers becomes unhealthy after the threshold, and then needs five passes', () => {
    const dead = phaseAfter([refused, refused], initial);
    expect(report(dead)).toEqual({
      State: 'unhealthy',
      Reason: 'Target.FailedHealthChecks',
      Description: 'Health checks failed',
    });
    expect(report(phaseAfter([pass, pass, pass, pass], dead)).State).toBe('unhealthy');
    expect(report(phaseAfter([pass, pass, pass, pass, pass], dead)).State).toBe('healthy');
    expect(report(phaseAfter([pass, pass, pass, pass, refused, pass], dead)).State).toBe('unhealthy');
  });
});

describe('a healthy target', () => {
  test('survives one failure, and failures that passes come between', () => {
    expect(report(phaseAfter([code(500), pass, code(500), pass], healthy)).State).toBe('healthy');
  });

  test('becomes unhealthy with the reason of its last failure, word for word', () => {
    expect(report(phaseAfter([refused, code(500)], healthy))).toEqual({
      State: 'unhealthy',
      Reason: 'Target.ResponseCodeMismatch',
      Description: 'Health checks failed with these codes: [500]',
    });
    expect(report(phaseAfter([code(500), check({ kind: 'timeout' })], healthy))).toEqual({
      State: 'unhealthy',
      Reason: 'Target.Timeout',
      Description: 'Request timed out',
    });
    expect(report(phaseAfter([code(500), code(500), pass, code(502)], healthy)).Description).toContain('[502]');
  });

  test('is left as it is by a second registration', () => {
    expect(phaseAfter([register(5000)], healthy)).toBe(healthy);
  });
});

describe('deregistration', () => {
  test('drains for the whole delay, idle or not, and then the target is gone', () => {
    const draining = phaseAfter([deregister(10_000)], healthy);
    expect(report(draining)).toEqual({
      State: 'draining',
      Reason: 'Target.DeregistrationInProgress',
      Description: 'Target deregistration is in progress',
    });
    expect(nextChange(draining)).toBe(310_000);
    expect(report(phaseAfter([time(309_999)], draining)).State).toBe('draining');
    expect(report(phaseAfter([time(310_000)], draining))).toEqual({
      State: 'unused',
      Reason: 'Target.NotRegistered',
      Description: 'Target is not registered to the target group',
    });
  });

  test('does not begin anew when it is asked for twice, and ignores checks that arrive late', () => {
    const draining = phaseAfter([deregister(10_000)], healthy);
    expect(phaseAfter([deregister(60_000), pass, refused, refused], draining)).toBe(draining);
  });

  test('takes a target that carries no traffic, or a delay of nothing, away at once', () => {
    const idle = phaseAfter([register(0, { ...serving, groupInUse: false })]);
    expect(phaseAfter([deregister(1000)], idle)).toEqual(NOT_REGISTERED);
    expect(phaseAfter([deregister(1000)], healthy, { ...policy, deregistrationDelaySeconds: 0 })).toEqual(
      NOT_REGISTERED,
    );
  });

  test('is undone by a registration, or not, as the lab is told', () => {
    const events = [register(0), time(1000), pass, deregister(2000), register(3000), time(302_000)];
    expect(states(events)).toEqual(['initial', 'initial', 'healthy', 'draining', 'initial', 'initial']);
    expect(states(events, { ...policy, reRegisterWhileDraining: 'stays-draining' })).toEqual([
      'initial',
      'initial',
      'healthy',
      'draining',
      'draining',
      'unused',
    ]);
  });
});

describe('what surrounds a target', () => {
  const unused = (surroundings: Partial<Surroundings>) => report(phaseAfter([change(0, surroundings)], healthy));

  test('makes it unused, with the reason', () => {
    expect(unused({ groupInUse: false })).toMatchObject({
      State: 'unused',
      Reason: 'Target.NotInUse',
      Description: 'Target group is not configured to receive traffic from the load balancer',
    });
    expect(unused({ zoneEnabled: false })).toMatchObject({
      Reason: 'Target.NotInUse',
      Description: 'Target is in an Availability Zone that is not enabled for the load balancer',
    });
    expect(unused({ instance: 'stopped' })).toMatchObject({
      Reason: 'Target.InvalidState',
      Description: 'Target is in the stopped state',
    });
    expect(unused({ instance: 'terminated' }).Description).toBe('Target is in the terminated state');
    expect(unused({ instance: 'stopping' }).Description).toBe('Target is in an invalid state');
  });

  test('lets it begin again, with one pass to go, when it is right again', () => {
    const back = phaseAfter([change(0, { instance: 'stopped' }), change(5000, {})], healthy);
    expect(report(back).Reason).toBe('Elb.RegistrationInProgress');
    expect(report(phaseAfter([time(6000), pass], back)).State).toBe('healthy');
  });

  test('changes nothing about a target that drains', () => {
    const draining = phaseAfter([deregister(0)], healthy);
    expect(phaseAfter([change(0, { instance: 'stopped' })], draining)).toBe(draining);
  });

  test('leaves a function unchecked', () => {
    expect(report(phaseAfter([register(0, { ...serving, checked: false })]))).toEqual({
      State: 'unavailable',
      Reason: 'Target.HealthCheckDisabled',
      Description: 'Health checks are not enabled for this target',
    });
  });
});
