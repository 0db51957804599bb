import { afterEach, describe, expect, test } from '@jest/globals';
import { createElbv2 } from '../../lab/services/elbv2/elbv2.js';
import { type Operation, type Service, ServiceError } from '../../lab/wire/service.js';
import { createClients } from '../../src/aws/clients.js';
import { createTargetGroups } from '../../src/aws/elbv2-target-groups.js';
import { isTransient } from '../../src/aws/errors.js';
import type { TargetGroups } from '../../src/aws/target-groups.js';
import { ProblemsError } from '../../src/problem.js';
import { instance, labApi, newInstances } from '../balancer/lab-api.js';
import { ACCOUNT, DEPLOYER, REGION, startLocalAws } from '../wire/local-aws.js';
import { GateClock } from './gate-clock.js';

const ID = 'i-0000000a';
const MISSING = `arn:aws:elasticloadbalancing:${REGION}:${ACCOUNT}:targetgroup/none/0123456789abcdef`;

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** Our own clients, pointed at a local AWS as a user would: through the environment. */
async function connect(service: Service): Promise<TargetGroups> {
  const aws = await startLocalAws([service]);
  Object.assign(process.env, {
    AWS_ENDPOINT_URL: `http://127.0.0.1:${aws.port}`,
    AWS_ACCESS_KEY_ID: DEPLOYER.accessKeyId,
    AWS_SECRET_ACCESS_KEY: 'secret',
  });
  const { elbv2 } = createClients({ region: REGION });
  closing.push(async () => elbv2.destroy(), aws.close);
  return createTargetGroups(elbv2);
}

async function lab() {
  const instances = newInstances([instance(ID, '10.0.0.1')]);
  const elb = createElbv2({
    instances,
    clock: new GateClock(),
    region: REGION,
    account: ACCOUNT,
    zones: ['eu-west-1a', 'eu-west-1b'],
    listen: false,
    send: async () => ({ kind: 'pass' }),
  });
  closing.push(() => elb.close());
  const api = labApi(elb.service);
  const arn = await api.createGroup('shop-web', { HealthCheckIntervalSeconds: '10', HealthCheckPath: '/health' });
  await api.call('ModifyTargetGroupAttributes', {
    TargetGroupArn: arn,
    Attributes: [{ Key: 'deregistration_delay.timeout_seconds', Value: '45' }],
  });
  await api.createBalancer('shop', arn);
  return { arn, instances, targetGroups: await connect(elb.service) };
}

/** An ELBv2 whose calls all end in the same way. */
function failing(error: () => ServiceError): Service {
  const fail: Operation = () => {
    throw error();
  };
  const names = ['DescribeTargetGroups', 'DescribeTargetHealth', 'RegisterTargets'];
  return {
    id: 'elasticloadbalancing',
    protocol: 'query',
    version: '2015-12-01',
    xmlNamespace: 'http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/',
    operations: Object.fromEntries(names.map((name) => [name, fail])),
  };
}

/** The problem that a call ends with; anything else fails the test. */
async function problemOf(call: Promise<unknown>) {
  const error: unknown = await call.then(
    (value) => new Error(`The call succeeded: ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  if (error instanceof ProblemsError && error.problems[0])
    return { ...error.problems[0], transient: isTransient(error) };
  throw error;
}

describe('a target group', () => {
  test('is described by name or ARN, with its own numbers', async () => {
    const { arn, targetGroups } = await lab();
    const described = await targetGroups.describe('shop-web');
    expect(described).toMatchObject({
      arn,
      name: 'shop-web',
      port: 8080,
      type: 'instance',
      loadBalancers: [expect.stringContaining('loadbalancer/app/shop/')],
      healthCheck: {
        path: '/health',
        intervalSeconds: 10,
        timeoutSeconds: 5,
        healthyThreshold: 5,
        unhealthyThreshold: 2,
        matcher: '200',
        port: 'traffic-port',
      },
      deregistrationDelaySeconds: 45,
      slowStartSeconds: 0,
    });
    expect(await targetGroups.describe(arn)).toEqual(described);
  });

  test('lists its targets by instance and port, from registration to drain', async () => {
    const { arn, targetGroups } = await lab();
    await targetGroups.register(arn, [
      { instance: ID, port: 8080 },
      { instance: ID, port: 8081 },
    ]);
    expect(await targetGroups.health(arn)).toMatchObject([
      { instance: ID, port: 8080, state: 'initial', reason: 'Elb.RegistrationInProgress' },
      { instance: ID, port: 8081, state: 'initial' },
    ]);
    await targetGroups.deregister(arn, [{ instance: ID, port: 8080 }]);
    expect(await targetGroups.health(arn)).toMatchObject([
      { port: 8080, state: 'draining', reason: 'Target.DeregistrationInProgress' },
      { port: 8081, state: 'initial' },
    ]);
  });

  test('that does not exist is named', async () => {
    const { targetGroups } = await lab();
    expect(await problemOf(targetGroups.describe('shop-api'))).toMatchObject({
      code: 'TARGET_GROUP_NOT_FOUND',
      message: expect.stringContaining('shop-api'),
    });
    expect(await problemOf(targetGroups.describe(MISSING))).toMatchObject({ code: 'TARGET_GROUP_NOT_FOUND' });
    expect(await problemOf(targetGroups.health(MISSING))).toMatchObject({
      code: 'TARGET_GROUP_NOT_FOUND',
      transient: false,
    });
  });

  test('does not take a stopped instance, and says so', async () => {
    const { arn, instances, targetGroups } = await lab();
    instances.setState(ID, 'stopped');
    const refused = await problemOf(targetGroups.register(arn, [{ instance: ID, port: 8080 }]));
    expect(refused).toMatchObject({ code: 'TARGET_INVALID', cause: expect.stringContaining(ID) });
  });
});

describe('before any call', () => {
  test.each([
    ['arn:aws:elasticloadbalancing:eu-central-1:1234:targetgroup/web/0123456789abcdef', 'is no target group ARN'],
    [
      'arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/web/0123456789abcdef',
      'is no target group ARN',
    ],
    ['-web', 'is no target group name'],
    ['', 'is no target group name'],
    ['shop web', 'is no target group name'],
    [MISSING.replace(REGION, 'us-east-1'), 'is in us-east-1, this run in eu-central-1'],
  ])('%s is refused', async (name, message) => {
    const targetGroups = await connect(
      failing(() => new ServiceError('InternalFailure', 'was called', { status: 500 })),
    );
    expect(await problemOf(targetGroups.describe(name))).toMatchObject({
      code: 'INPUT_INVALID',
      message: expect.stringContaining(message),
    });
  });
});

describe('what AWS refuses', () => {
  const denial = `User: ${DEPLOYER.arn} is not authorized to perform: elasticloadbalancing:DescribeTargetGroups because no identity-based policy allows the elasticloadbalancing:DescribeTargetGroups action`;
  test.each([
    ['AccessDenied', denial, 403, 'AWS_ACCESS_DENIED', false],
    ['ExpiredToken', 'The security token included in the request is expired', 403, 'AWS_CREDENTIALS', false],
    ['ValidationError', 'Nonsense', 400, 'AWS_REQUEST_FAILED', false],
  ])('%s is told once, with its cause', async (code, message, status, expected, transient) => {
    let calls = 0;
    const targetGroups = await connect(
      failing(() => {
        calls += 1;
        return new ServiceError(code, message, { status });
      }),
    );
    expect(await problemOf(targetGroups.describe('shop-web'))).toMatchObject({
      code: expected,
      cause: message,
      transient,
    });
    expect(calls).toBe(1);
  });

  test('a missing permission is named as the policy needs it', async () => {
    const targetGroups = await connect(failing(() => new ServiceError('AccessDenied', denial, { status: 403 })));
    const { message, fix } = await problemOf(targetGroups.describe('shop-web'));
    expect([message, fix]).toEqual([
      'The role of this job may not call elasticloadbalancing:DescribeTargetGroups.',
      "Allow elasticloadbalancing:DescribeTargetGroups in the role's policy.",
    ]);
  });

  test.each([
    ['HealthUnavailable', 500, 'AWS_UNAVAILABLE'],
    ['ServiceUnavailable', 503, 'AWS_UNAVAILABLE'],
  ])('%s is something to wait for', async (code, status, expected) => {
    const targetGroups = await connect(failing(() => new ServiceError(code, 'later', { status })));
    expect(await problemOf(targetGroups.health(MISSING))).toMatchObject({ code: expected, transient: true });
  });

  test('throttling is something to wait for, after the client has tried by itself', async () => {
    let calls = 0;
    const targetGroups = await connect(
      failing(() => {
        calls += 1;
        return new ServiceError('Throttling', 'Rate exceeded', { status: 400 });
      }),
    );
    expect(await problemOf(targetGroups.health(MISSING))).toMatchObject({ code: 'AWS_THROTTLED', transient: true });
    expect(calls).toBeGreaterThan(1);
  }, 30_000);

  test('an abort is passed on as one', async () => {
    const targetGroups = await connect(failing(() => new ServiceError('X')));
    await expect(targetGroups.health(MISSING, AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' });
  });
});
