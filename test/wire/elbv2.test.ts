import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateRuleCommand,
  CreateTargetGroupCommand,
  type CreateTargetGroupCommandInput,
  DeleteLoadBalancerCommand,
  DeleteRuleCommand,
  DeleteTargetGroupCommand,
  DeregisterTargetsCommand,
  DescribeListenersCommand,
  DescribeLoadBalancerAttributesCommand,
  DescribeLoadBalancersCommand,
  DescribeRulesCommand,
  DescribeTagsCommand,
  DescribeTargetGroupAttributesCommand,
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  ElasticLoadBalancingV2Client,
  ModifyTargetGroupAttributesCommand,
  ModifyTargetGroupCommand,
  RegisterTargetsCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createElbv2, type Elbv2 } from '../../lab/services/elbv2/elbv2.js';
import { startWireServer, type WireServer } from '../../lab/wire/server.js';
import { instance, newInstances, SUBNETS, VPC } from '../balancer/lab-api.js';
import { VirtualClock } from '../balancer/virtual-clock.js';

/** The lab's load balancing through the real SDK: the clock is virtual, every target passes its checks. */
let elb: Elbv2;
let server: WireServer;
let client: ElasticLoadBalancingV2Client;
let clock: VirtualClock;

const A = 'i-0000000a';
const B = 'i-0000000b';

beforeEach(async () => {
  clock = new VirtualClock();
  const instances = newInstances([instance(A, '10.0.0.1'), instance(B, '10.0.0.2')]);
  instances.setState(B, 'stopped');
  elb = createElbv2({
    instances,
    clock,
    region: 'eu-west-1',
    account: '123456789012',
    zones: ['eu-west-1a', 'eu-west-1b'],
    listen: false,
    send: async () => ({ kind: 'pass' }),
  });
  const principal = { accessKeyId: 'AKIATEST', arn: 'arn:aws:iam::123456789012:user/test', userId: 'AIDATEST' };
  server = await startWireServer({
    services: [elb.service],
    hosts: ['127.0.0.1'],
    region: 'eu-west-1',
    account: '123456789012',
    principals: () => principal,
  });
  client = new ElasticLoadBalancingV2Client({
    region: 'eu-west-1',
    endpoint: `http://127.0.0.1:${server.port}`,
    credentials: { accessKeyId: 'AKIATEST', secretAccessKey: 'secret' },
  });
});

afterEach(async () => {
  client.destroy();
  await server.close();
  await elb.close();
});

async function createGroup(Name: string, settings: Partial<CreateTargetGroupCommandInput> = {}): Promise<string> {
  const created = await client.send(
    new CreateTargetGroupCommand({ Name, Protocol: 'HTTP', Port: 8080, VpcId: VPC, ...settings }),
  );
  return created.TargetGroups?.[0]?.TargetGroupArn ?? '';
}

async function createBalancer(Name: string): Promise<string> {
  const created = await client.send(new CreateLoadBalancerCommand({ Name, Subnets: SUBNETS }));
  return created.LoadBalancers?.[0]?.LoadBalancerArn ?? '';
}

async function listenOn(LoadBalancerArn: string, TargetGroupArn: string, Port = 80): Promise<string> {
  const DefaultActions = [{ Type: 'forward' as const, TargetGroupArn }];
  const created = await client.send(
    new CreateListenerCommand({ LoadBalancerArn, Protocol: 'HTTP', Port, DefaultActions }),
  );
  return created.Listeners?.[0]?.ListenerArn ?? '';
}

const health = async (TargetGroupArn: string, Targets?: { Id: string; Port: number }[]) =>
  (await client.send(new DescribeTargetHealthCommand({ TargetGroupArn, ...(Targets ? { Targets } : {}) })))
    .TargetHealthDescriptions;

describe('a target group', () => {
  test('is described with its defaults and its load balancer, by name, ARN and load balancer', async () => {
    const arn = await createGroup('shop-web');
    const balancer = await createBalancer('shop');
    await listenOn(balancer, arn);
    expect(arn).toMatch(/^arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup\/shop-web\/[0-9a-f]{16}$/);
    const described = await client.send(new DescribeTargetGroupsCommand({ Names: ['shop-web'] }));
    expect(described.TargetGroups).toEqual([
      {
        TargetGroupArn: arn,
        TargetGroupName: 'shop-web',
        Protocol: 'HTTP',
        Port: 8080,
        VpcId: VPC,
        ProtocolVersion: 'HTTP1',
        HealthCheckProtocol: 'HTTP',
        HealthCheckPort: 'traffic-port',
        HealthCheckEnabled: true,
        HealthCheckIntervalSeconds: 30,
        HealthCheckTimeoutSeconds: 5,
        HealthyThresholdCount: 5,
        UnhealthyThresholdCount: 2,
        HealthCheckPath: '/',
        Matcher: { HttpCode: '200' },
        LoadBalancerArns: [balancer],
        TargetType: 'instance',
        IpAddressType: 'ipv4',
      },
    ]);
    for (const by of [{ TargetGroupArns: [arn] }, { LoadBalancerArn: balancer }])
      expect((await client.send(new DescribeTargetGroupsCommand(by))).TargetGroups).toEqual(described.TargetGroups);
  });

  test('is listed in pages', async () => {
    for (const name of ['a', 'b', 'c']) await createGroup(name);
    const first = await client.send(new DescribeTargetGroupsCommand({ PageSize: 2 }));
    expect(first.TargetGroups?.map(({ TargetGroupName }) => TargetGroupName)).toEqual(['a', 'b']);
    const rest = await client.send(new DescribeTargetGroupsCommand({ PageSize: 2, Marker: first.NextMarker }));
    expect(rest.TargetGroups?.map(({ TargetGroupName }) => TargetGroupName)).toEqual(['c']);
    expect(rest.NextMarker).toBeUndefined();
  });

  test('has attributes that can be set, and is changed by what is given only', async () => {
    const TargetGroupArn = await createGroup('web');
    const Attributes = [{ Key: 'deregistration_delay.timeout_seconds', Value: '30' }];
    await client.send(new ModifyTargetGroupAttributesCommand({ TargetGroupArn, Attributes }));
    const read = await client.send(new DescribeTargetGroupAttributesCommand({ TargetGroupArn }));
    expect(read.Attributes).toEqual(
      expect.arrayContaining([...Attributes, { Key: 'slow_start.duration_seconds', Value: '0' }]),
    );
    const changed = await client.send(
      new ModifyTargetGroupCommand({ TargetGroupArn, HealthCheckPath: '/health', Matcher: { HttpCode: '200-299' } }),
    );
    expect(changed.TargetGroups?.[0]).toMatchObject({
      HealthCheckPath: '/health',
      Matcher: { HttpCode: '200-299' },
      HealthCheckIntervalSeconds: 30,
    });
  });

  test('of addresses or a function can be made and told by its type', async () => {
    await createGroup('addresses', { TargetType: 'ip' });
    await client.send(new CreateTargetGroupCommand({ Name: 'function', TargetType: 'lambda' }));
    const { TargetGroups = [] } = await client.send(new DescribeTargetGroupsCommand({}));
    expect(TargetGroups.map(({ TargetType, Port }) => [TargetType, Port])).toEqual([
      ['ip', 8080],
      ['lambda', undefined],
    ]);
  });
});

describe('targets', () => {
  test('are registered, become healthy, drain and are gone', async () => {
    const group = await createGroup('web');
    await listenOn(await createBalancer('shop'), group);
    const Targets = [{ Id: A }, { Id: A, Port: 8081 }];
    await client.send(new RegisterTargetsCommand({ TargetGroupArn: group, Targets }));
    await clock.seconds(2);
    expect(await health(group)).toEqual([
      { Target: { Id: A, Port: 8080 }, HealthCheckPort: '8080', TargetHealth: { State: 'healthy' } },
      { Target: { Id: A, Port: 8081 }, HealthCheckPort: '8081', TargetHealth: { State: 'healthy' } },
    ]);
    await client.send(new DeregisterTargetsCommand({ TargetGroupArn: group, Targets: [{ Id: A, Port: 8081 }] }));
    expect((await health(group))?.[1]?.TargetHealth).toEqual({
      State: 'draining',
      Reason: 'Target.DeregistrationInProgress',
      Description: 'Target deregistration is in progress',
    });
    await clock.seconds(300);
    expect(await health(group)).toHaveLength(1);
    expect((await health(group, [{ Id: A, Port: 8081 }]))?.[0]?.TargetHealth).toEqual({
      State: 'unused',
      Reason: 'Target.NotRegistered',
      Description: 'Target is not registered to the target group',
    });
  });

  test('can be deregistered although they were never there', async () => {
    const TargetGroupArn = await createGroup('web');
    const Targets = [{ Id: A, Port: 9999 }];
    await client.send(new DeregisterTargetsCommand({ TargetGroupArn, Targets }));
    expect(await health(TargetGroupArn)).toEqual([]);
  });

  test('tell of anomalies only when asked', async () => {
    const TargetGroupArn = await createGroup('web');
    await client.send(new RegisterTargetsCommand({ TargetGroupArn, Targets: [{ Id: A }] }));
    const asked = await client.send(new DescribeTargetHealthCommand({ TargetGroupArn, Include: ['AnomalyDetection'] }));
    expect(asked.TargetHealthDescriptions?.[0]?.AnomalyDetection).toEqual({
      Result: 'normal',
      MitigationInEffect: 'no',
    });
  });
});

describe('load balancers, listeners and rules', () => {
  test('are described as they were made, and go together', async () => {
    const group = await createGroup('web');
    const balancer = await createBalancer('shop');
    const listener = await listenOn(balancer, group);
    const [described] = (await client.send(new DescribeLoadBalancersCommand({ Names: ['shop'] }))).LoadBalancers ?? [];
    expect(described).toMatchObject({
      LoadBalancerArn: balancer,
      Type: 'application',
      VpcId: VPC,
      State: { Code: 'active' },
      CreatedTime: new Date(0),
      AvailabilityZones: [
        { ZoneName: 'eu-west-1a', SubnetId: SUBNETS[0] },
        { ZoneName: 'eu-west-1b', SubnetId: SUBNETS[1] },
      ],
    });
    const Actions = [{ Type: 'forward' as const, TargetGroupArn: group }];
    const Conditions = [{ Field: 'path-pattern', Values: ['/api/*'] }];
    await client.send(new CreateRuleCommand({ ListenerArn: listener, Priority: 5, Conditions, Actions }));
    const { Rules = [] } = await client.send(new DescribeRulesCommand({ ListenerArn: listener }));
    expect(Rules.map(({ Priority, IsDefault }) => [Priority, IsDefault])).toEqual([
      ['5', false],
      ['default', true],
    ]);
    expect(Rules[0]?.Conditions?.[0]?.Values).toEqual(['/api/*']);
    const listeners = await client.send(new DescribeListenersCommand({ LoadBalancerArn: balancer }));
    expect(listeners.Listeners?.[0]).toMatchObject({
      Port: 80,
      Protocol: 'HTTP',
      DefaultActions: [{ Type: 'forward', TargetGroupArn: group, ForwardConfig: { TargetGroups: [{ Weight: 1 }] } }],
    });
    const attributes = await client.send(new DescribeLoadBalancerAttributesCommand({ LoadBalancerArn: balancer }));
    expect(attributes.Attributes).toContainEqual({ Key: 'idle_timeout.timeout_seconds', Value: '60' });
    await client.send(new DeleteLoadBalancerCommand({ LoadBalancerArn: balancer }));
    await client.send(new DeleteTargetGroupCommand({ TargetGroupArn: group }));
    expect((await client.send(new DescribeTargetGroupsCommand({}))).TargetGroups).toEqual([]);
  });

  test('carry tags', async () => {
    const arn = await createGroup('web', { Tags: [{ Key: 'app', Value: 'shop' }] });
    const tags = await client.send(new DescribeTagsCommand({ ResourceArns: [arn] }));
    expect(tags.TagDescriptions).toEqual([{ ResourceArn: arn, Tags: [{ Key: 'app', Value: 'shop' }] }]);
  });
});

describe('AWS’s errors', () => {
  const notFound = 'arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/no/0123456789abcdef';
  const fails = (sent: Promise<unknown>, Code: string, message: string | RegExp) =>
    expect(sent).rejects.toMatchObject({
      Code,
      message: typeof message === 'string' ? message : expect.stringMatching(message),
      $metadata: { httpStatusCode: 400 },
    });

  test('for what does not exist', async () => {
    const message = 'One or more target groups not found';
    await fails(health(notFound), 'TargetGroupNotFound', message);
    await fails(client.send(new DescribeTargetGroupsCommand({ Names: ['no'] })), 'TargetGroupNotFound', message);
    await expect(health(notFound)).rejects.toMatchObject({ name: 'TargetGroupNotFoundException' });
    await fails(
      client.send(new DescribeLoadBalancersCommand({ Names: ['no'] })),
      'LoadBalancerNotFound',
      "Load balancers '[no]' not found",
    );
    await fails(health('web'), 'ValidationError', "'web' is not a valid target group ARN");
  });

  test('for instances that do not run or are unknown', async () => {
    const TargetGroupArn = await createGroup('web');
    for (const Id of [B, 'i-0000000c']) {
      const Targets = [{ Id: A }, { Id }];
      await fails(
        client.send(new RegisterTargetsCommand({ TargetGroupArn, Targets })),
        'InvalidTarget',
        `The following targets are not in a running state and cannot be registered: '${Id}'`,
      );
    }
    expect(await health(TargetGroupArn)).toEqual([]);
  });

  test('for settings out of range', async () => {
    const wrong: [Partial<CreateTargetGroupCommandInput>, RegExp][] = [
      [{ HealthCheckIntervalSeconds: 4 }, /'4' at 'healthCheckIntervalSeconds'.* greater than or equal to 5/],
      [{ HealthCheckTimeoutSeconds: 121 }, /'121' at 'healthCheckTimeoutSeconds'.* less than or equal to 120/],
      [{ HealthyThresholdCount: 1 }, /healthyThresholdCount/],
      [{ UnhealthyThresholdCount: 11 }, /unhealthyThresholdCount/],
      [{ HealthCheckIntervalSeconds: 5 }, /^Health check interval must be greater than the timeout\.$/],
      [{ Matcher: { HttpCode: '200-500' } }, /'500' must be within '200-499' inclusive/],
      [{ HealthCheckPort: '0' }, /'traffic-port'/],
    ];
    for (const [settings, message] of wrong) await fails(createGroup('web', settings), 'ValidationError', message);
    const TargetGroupArn = await createGroup('web');
    const Attributes = [{ Key: 'deregistration_delay.timeout_seconds', Value: '3601' }];
    await fails(
      client.send(new ModifyTargetGroupAttributesCommand({ TargetGroupArn, Attributes })),
      'ValidationError',
      /3601/,
    );
  });

  test('for what is taken, in use, or another load balancer’s', async () => {
    const group = await createGroup('web');
    expect(await createGroup('web')).toBe(group);
    await fails(createGroup('web', { Port: 9090 }), 'DuplicateTargetGroupName', /exists, but with different settings/);
    const balancer = await createBalancer('shop');
    const listener = await listenOn(balancer, group);
    await fails(listenOn(balancer, group), 'DuplicateListener', /already exists on this port/);
    await fails(
      client.send(new DeleteTargetGroupCommand({ TargetGroupArn: group })),
      'ResourceInUse',
      `Target group '${group}' is currently in use by a listener or a rule`,
    );
    await fails(
      createBalancer('other').then((other) => listenOn(other, group)),
      'TargetGroupAssociationLimit',
      /cannot be associated with more than one load balancer/,
    );
    const rules = await client.send(new DescribeRulesCommand({ ListenerArn: listener }));
    await fails(
      client.send(new DeleteRuleCommand({ RuleArn: rules.Rules?.[0]?.RuleArn })),
      'OperationNotPermitted',
      /Default rule/,
    );
  });
});
