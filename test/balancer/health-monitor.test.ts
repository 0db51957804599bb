import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Check } from '../../lab/balancer/checker.js';
import type { CheckResult } from '../../lab/balancer/target-health.js';
import { createElbv2, type Elbv2, type Elbv2Options, type TargetTransition } from '../../lab/services/elbv2/elbv2.js';
import { instance, type LabApi, labApi, newInstances } from './lab-api.js';
import { VirtualClock } from './virtual-clock.js';

/** A load balancer without sockets: the clock is virtual, and `answers` plays the targets by port. */
let clock: VirtualClock;
let elb: Elbv2;
let api: LabApi;
let sent: { at: number; check: Check }[];
let seen: TargetTransition[];
let answers: { [port: number]: () => CheckResult };
let instances: ReturnType<typeof newInstances>;

function start(options: Partial<Elbv2Options> = {}): void {
  clock = new VirtualClock();
  sent = [];
  seen = [];
  answers = {};
  instances = newInstances([instance('i-0000000a', '10.0.0.1'), instance('i-0000000b', '10.0.0.2', 'eu-west-1b')]);
  elb = createElbv2({
    instances,
    clock,
    region: 'eu-west-1',
    account: '123456789012',
    zones: ['eu-west-1a', 'eu-west-1b'],
    listen: false,
    send: async (check) => {
      sent.push({ at: clock.now(), check });
      return answers[check.port]?.() ?? { kind: 'pass' };
    },
    onTransition: (transition) => seen.push(transition),
    ...options,
  });
  api = labApi(elb.service);
}

async function groupBehindListener(): Promise<string> {
  const group = await api.createGroup('web', { HealthCheckIntervalSeconds: '10', HealthCheckPath: '/health' });
  await api.createBalancer('shop', group);
  return group;
}

const target = (Id: string, Port = 8080) => ({ Id, Port: String(Port) });
const states = async (TargetGroupArn: string, Targets?: unknown) =>
  (await api.health(TargetGroupArn, Targets)).map(
    ({ Target, TargetHealth }) => `${Target.Id}:${Target.Port} ${TargetHealth.State} ${TargetHealth.Reason ?? '-'}`,
  );

beforeEach(() => start());
afterEach(() => elb.close());

describe('a target behind a load balancer', () => {
  test('is checked soon after its registration, then at a fixed rate, on its private IP and traffic port', async () => {
    const group = await groupBehindListener();
    await api.register(group, [target('i-0000000a')]);
    expect(await states(group)).toEqual(['i-0000000a:8080 initial Elb.RegistrationInProgress']);
    await clock.seconds(25);
    expect(sent.map(({ at }) => at / 1000)).toEqual([1, 11, 21]);
    expect(sent[0]?.check).toEqual({
      protocol: 'HTTP',
      host: '10.0.0.1',
      port: 8080,
      hostHeader: '10.0.0.1:8080',
      path: '/health',
      matcher: '200',
      timeoutMilliseconds: 5000,
    });
    expect(await states(group)).toEqual(['i-0000000a:8080 healthy -']);
  });

  test('fails, recovers after five checks, and drains: every change is told once', async () => {
    const group = await groupBehindListener();
    await api.register(group, [target('i-0000000a')]);
    await clock.seconds(5);
    answers[8080] = () => ({ kind: 'code', status: 503 });
    await clock.seconds(20);
    expect(await states(group)).toEqual(['i-0000000a:8080 unhealthy Target.ResponseCodeMismatch']);
    answers[8080] = () => ({ kind: 'pass' });
    await clock.seconds(50);
    expect(await states(group)).toEqual(['i-0000000a:8080 healthy -']);
    await api.call('DeregisterTargets', { TargetGroupArn: group, Targets: [target('i-0000000a')] });
    await clock.seconds(299);
    expect(await states(group)).toEqual(['i-0000000a:8080 draining Target.DeregistrationInProgress']);
    await clock.seconds(1);
    expect(await states(group)).toEqual([]);
    expect(await states(group, [target('i-0000000a')])).toEqual(['i-0000000a:8080 unused Target.NotRegistered']);
    expect(seen.map(({ from, to, reason, at }) => [from, to, reason ?? '-', at / 1000])).toEqual([
      ['unused', 'initial', 'Elb.RegistrationInProgress', 0],
      ['initial', 'initial', 'Elb.InitialHealthChecking', 1],
      ['initial', 'healthy', '-', 1],
      ['healthy', 'unhealthy', 'Target.ResponseCodeMismatch', 21],
      ['unhealthy', 'healthy', '-', 71],
      ['healthy', 'draining', 'Target.DeregistrationInProgress', 75],
      ['draining', 'unused', 'Target.NotRegistered', 375],
    ]);
  });

  test('is not checked while it drains, and its new registration counts from the beginning', async () => {
    const group = await groupBehindListener();
    await api.register(group, [target('i-0000000a')]);
    await clock.seconds(5);
    await api.call('DeregisterTargets', { TargetGroupArn: group, Targets: [target('i-0000000a')] });
    const before = sent.length;
    await clock.seconds(100);
    expect(sent).toHaveLength(before);
    await api.register(group, [target('i-0000000a')]);
    expect(await states(group)).toEqual(['i-0000000a:8080 initial Elb.RegistrationInProgress']);
    await clock.seconds(2);
    expect(await states(group)).toEqual(['i-0000000a:8080 healthy -']);
    await clock.seconds(400);
    expect(await states(group)).toEqual(['i-0000000a:8080 healthy -']);
  });

  test('stays draining when it is registered again, if the lab is told to, and can be registered afterwards', async () => {
    await elb.close();
    start({ reRegisterWhileDraining: 'stays-draining' });
    const group = await groupBehindListener();
    await api.register(group, [target('i-0000000a')]);
    await clock.seconds(5);
    await api.call('DeregisterTargets', { TargetGroupArn: group, Targets: [target('i-0000000a')] });
    await api.register(group, [target('i-0000000a')]);
    expect(await states(group)).toEqual(['i-0000000a:8080 draining Target.DeregistrationInProgress']);
    await clock.seconds(300);
    expect(await states(group)).toEqual([]);
    await api.register(group, [target('i-0000000a')]);
    await clock.seconds(2);
    expect(await states(group)).toEqual(['i-0000000a:8080 healthy -']);
  });

  test('has its own health for each port', async () => {
    const group = await groupBehindListener();
    answers[8081] = () => ({ kind: 'failed' });
    await api.register(group, [target('i-0000000a', 8080), target('i-0000000a', 8081)]);
    await clock.seconds(15);
    expect(await states(group)).toEqual([
      'i-0000000a:8080 healthy -',
      'i-0000000a:8081 unhealthy Target.FailedHealthChecks',
    ]);
    expect(elb.rotation(group)).toEqual([{ id: 'i-0000000a', port: 8080 }]);
  });

  test('follows its instance: stopped it is unused, started it is new', async () => {
    const group = await groupBehindListener();
    await api.register(group, [target('i-0000000a'), target('i-0000000b')]);
    await clock.seconds(2);
    instances.setState('i-0000000a', 'stopped');
    expect(await states(group)).toEqual(['i-0000000a:8080 unused Target.InvalidState', 'i-0000000b:8080 healthy -']);
    instances.setState('i-0000000a', 'running');
    await clock.seconds(2);
    expect(await states(group)).toEqual(['i-0000000a:8080 healthy -', 'i-0000000b:8080 healthy -']);
  });

  test('ignores the result of a check that was sent before it drained and was registered again', async () => {
    let answer: (result: CheckResult) => void = () => undefined;
    await elb.close();
    start({ send: () => new Promise<CheckResult>((resolve) => (answer = resolve)) });
    const group = await groupBehindListener();
    await api.register(group, [target('i-0000000a')]);
    await clock.seconds(2);
    const late = answer;
    await api.call('DeregisterTargets', { TargetGroupArn: group, Targets: [target('i-0000000a')] });
    await api.register(group, [target('i-0000000a')]);
    await clock.seconds(2);
    late({ kind: 'pass' });
    await clock.seconds(1);
    expect(await states(group)).toEqual(['i-0000000a:8080 initial Elb.InitialHealthChecking']);
    answer({ kind: 'pass' });
    await clock.seconds(1);
    expect(await states(group)).toEqual(['i-0000000a:8080 healthy -']);
  });
});

describe('the rotation', () => {
  test('holds the healthy targets, all when none is healthy, and never a draining one', async () => {
    const group = await groupBehindListener();
    await api.register(group, [target('i-0000000a'), target('i-0000000b', 8081)]);
    await clock.seconds(2);
    answers[8081] = () => ({ kind: 'timeout' });
    await clock.seconds(20);
    expect(elb.rotation(group)).toEqual([{ id: 'i-0000000a', port: 8080 }]);
    await api.call('DeregisterTargets', { TargetGroupArn: group, Targets: [target('i-0000000a')] });
    expect(elb.rotation(group)).toEqual([{ id: 'i-0000000b', port: 8081 }]);
    await api.call('DeregisterTargets', { TargetGroupArn: group, Targets: [target('i-0000000b', 8081)] });
    expect(elb.rotation(group)).toEqual([]);
  });
});

describe('a target group that no load balancer uses', () => {
  test('has unused targets until a rule forwards to it, and again when the listener is deleted', async () => {
    const group = await api.createGroup('web');
    await api.register(group, [target('i-0000000a')]);
    await clock.seconds(60);
    expect(sent).toEqual([]);
    expect(await api.health(group)).toMatchObject([
      {
        HealthCheckPort: '8080',
        TargetHealth: {
          State: 'unused',
          Reason: 'Target.NotInUse',
          Description: 'Target group is not configured to receive traffic from the load balancer',
        },
      },
    ]);
    const { listener } = await api.createBalancer('shop', group);
    await clock.seconds(2);
    expect(await states(group)).toEqual(['i-0000000a:8080 healthy -']);
    await api.call('DeleteListener', { ListenerArn: listener });
    expect(await states(group)).toEqual(['i-0000000a:8080 unused Target.NotInUse']);
  });

  test('is told apart from a load balancer that lacks the zone of the instance', async () => {
    instances.add({ ...instance('i-0000000c', '10.0.0.3', 'eu-west-1c'), subnet: 'subnet-c' });
    const group = await groupBehindListener();
    await api.register(group, [target('i-0000000c')]);
    const [only] = await api.health(group);
    expect(only?.TargetHealth.Description).toBe(
      'Target is in an Availability Zone that is not enabled for the load balancer',
    );
  });
});

describe('settings that change', () => {
  test('count from the next check on', async () => {
    const group = await groupBehindListener();
    await api.register(group, [target('i-0000000a')]);
    await clock.seconds(2);
    await api.call('ModifyTargetGroup', {
      TargetGroupArn: group,
      HealthCheckPath: '/ready',
      HealthCheckPort: '9000',
      HealthCheckIntervalSeconds: '5',
      HealthCheckTimeoutSeconds: '2',
    });
    await clock.seconds(15);
    expect(sent.map(({ at, check }) => [at / 1000, check.path, check.hostHeader])).toEqual([
      [1, '/health', '10.0.0.1:8080'],
      [11, '/ready', '10.0.0.1:9000'],
      [16, '/ready', '10.0.0.1:9000'],
    ]);
    expect((await api.health(group))[0]?.HealthCheckPort).toBe('9000');
  });

  test('shorten a drain that begins after them', async () => {
    const group = await groupBehindListener();
    await api.register(group, [target('i-0000000a')]);
    await clock.seconds(2);
    const Attributes = [{ Key: 'deregistration_delay.timeout_seconds', Value: '5' }];
    await api.call('ModifyTargetGroupAttributes', { TargetGroupArn: group, Attributes });
    await api.call('DeregisterTargets', { TargetGroupArn: group, Targets: [target('i-0000000a')] });
    await clock.seconds(4);
    expect(await states(group)).toHaveLength(1);
    await clock.seconds(1);
    expect(await states(group)).toEqual([]);
  });
});
