import {
  DescribeAvailabilityZonesCommand,
  DescribeInstanceStatusCommand,
  DescribeInstancesCommand,
  type DescribeInstancesCommandInput,
  DescribeNetworkAclsCommand,
  DescribeSecurityGroupRulesCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  EC2Client,
  paginateDescribeInstances,
} from '@aws-sdk/client-ec2';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Instances } from '../../lab/model/instances.js';
import { DEFAULT_IDS, defaultNetwork } from '../../lab/model/network.js';
import { createEc2 } from '../../lab/services/ec2/ec2.js';
import { ACCOUNT, failureOf, HandClock, REGION, startLocalAws } from './local-aws.js';

const clock = new HandClock();
const network = defaultNetwork({
  cidr: '10.0.0.0/16',
  zones: [
    { zone: 'eu-central-1a', cidr: '10.0.1.0/24' },
    { zone: 'eu-central-1b', cidr: '10.0.2.0/24' },
  ],
  instancePorts: [8080, 8081],
});
const instances = new Instances();
const idOf = (number: number) => `i-${String(number).padStart(17, '0')}`;

let local: Awaited<ReturnType<typeof startLocalAws>>;
let client: EC2Client;

beforeAll(async () => {
  local = await startLocalAws([createEc2({ instances, network, clock, region: REGION, account: ACCOUNT })]);
  client = new EC2Client(local.client);
});
afterAll(() => local.close());
beforeEach(() => {
  for (let number = 1; number <= 7; number += 1) {
    const subnet = network.subnets[number % 2];
    instances.add({
      id: idOf(number),
      name: `web-${number}`,
      privateIp: `10.0.1.${number}`,
      zone: subnet?.zone ?? '',
      subnet: subnet?.id ?? '',
      vpc: DEFAULT_IDS.vpc,
      securityGroups: [DEFAULT_IDS.instanceGroup],
      type: 't2.micro',
      architecture: 'x86_64',
      image: 'ami-0123456789abcdef0',
      launchedAt: clock.now(),
      tags: { app: number < 4 ? 'shop' : 'blog' },
      state: 'running',
    });
  }
});

async function idsFor(input: DescribeInstancesCommandInput): Promise<(string | undefined)[]> {
  const { Reservations = [] } = await client.send(new DescribeInstancesCommand(input));
  return Reservations.flatMap(({ Instances: found = [] }) => found.map(({ InstanceId }) => InstanceId));
}

describe('instances', () => {
  test('show what a deploy and its diagnosis read', async () => {
    const { Reservations } = await client.send(new DescribeInstancesCommand({ InstanceIds: [idOf(1)] }));
    const groups = [{ GroupId: DEFAULT_IDS.instanceGroup, GroupName: 'instances' }];
    expect(Reservations?.[0]?.Instances?.[0]).toMatchObject({
      InstanceId: idOf(1),
      State: { Code: 16, Name: 'running' },
      PrivateIpAddress: '10.0.1.1',
      Placement: { AvailabilityZone: 'eu-central-1b' },
      SubnetId: network.subnets[1]?.id,
      VpcId: DEFAULT_IDS.vpc,
      Architecture: 'x86_64',
      LaunchTime: new Date(clock.now()),
      SecurityGroups: groups,
      NetworkInterfaces: [{ Groups: groups, PrivateIpAddress: '10.0.1.1' }],
      Tags: [
        { Key: 'Name', Value: 'web-1' },
        { Key: 'app', Value: 'shop' },
      ],
    });
  });

  test('are found by tag, state and address, with wildcards, every filter at once', async () => {
    instances.setState(idOf(2), 'stopped');
    const shop = { Name: 'tag:app', Values: ['shop'] };
    const running = { Name: 'instance-state-name', Values: ['running', 'pending'] };
    expect(await idsFor({ Filters: [shop] })).toEqual([idOf(1), idOf(2), idOf(3)]);
    expect(await idsFor({ Filters: [shop, running] })).toEqual([idOf(1), idOf(3)]);
    expect(await idsFor({ Filters: [{ Name: 'private-ip-address', Values: ['10.0.1.5'] }] })).toEqual([idOf(5)]);
    expect(await idsFor({ Filters: [{ Name: 'tag:Name', Values: ['*-6', 'web-?'] }] })).toHaveLength(7);
    expect(await idsFor({ Filters: [{ Name: 'tag:team', Values: ['*'] }] })).toEqual([]);
    const vpc = { Name: 'vpc-id', Values: [DEFAULT_IDS.vpc] };
    expect(await idsFor({ Filters: [vpc, { Name: 'instance-id', Values: [idOf(4)] }] })).toEqual([idOf(4)]);
  });

  test('that have no such id, no such form of id, or no such filter are errors', async () => {
    expect(await failureOf(idsFor({ InstanceIds: [idOf(1), idOf(98), idOf(99)] }))).toMatchObject({
      name: 'InvalidInstanceID.NotFound',
      message: `The instance IDs '${idOf(98)}, ${idOf(99)}' do not exist`,
    });
    expect(await failureOf(idsFor({ InstanceIds: ['web-1'] }))).toMatchObject({
      name: 'InvalidInstanceID.Malformed',
      message: 'Invalid id: "web-1"',
    });
    const wrong = idsFor({ Filters: [{ Name: 'state', Values: ['running'] }] });
    expect((await failureOf(wrong)).name).toBe('InvalidParameterValue');
  });

  test('come page by page when asked to', async () => {
    const pages = [];
    for await (const page of paginateDescribeInstances({ client, pageSize: 5 }, {})) {
      pages.push(page.Reservations?.length);
    }
    expect(pages).toEqual([5, 2]);
    expect((await failureOf(idsFor({ MaxResults: 4 }))).name).toBe('InvalidParameterValue');
  });

  test('have a status while they run, and a terminated one has no network any more', async () => {
    instances.setState(idOf(1), 'stopped');
    instances.setState(idOf(2), 'terminated');
    const InstanceIds = [idOf(1), idOf(3)];
    const running = await client.send(new DescribeInstanceStatusCommand({ InstanceIds }));
    expect(running.InstanceStatuses).toMatchObject([{ InstanceId: idOf(3), SystemStatus: { Status: 'ok' } }]);
    const all = await client.send(new DescribeInstanceStatusCommand({ InstanceIds, IncludeAllInstances: true }));
    expect(all.InstanceStatuses?.[0]).toMatchObject({
      InstanceState: { Code: 80, Name: 'stopped' },
      InstanceStatus: { Status: 'not-applicable' },
    });
    const { Reservations } = await client.send(new DescribeInstancesCommand({ InstanceIds: [idOf(2)] }));
    expect(Reservations?.[0]?.Instances?.[0]).not.toHaveProperty('PrivateIpAddress');
  });
});

describe('the network', () => {
  test('admits the load balancer to the instances, and a closed port shows at once', async () => {
    const describeGroup = () =>
      client.send(new DescribeSecurityGroupsCommand({ GroupIds: [DEFAULT_IDS.instanceGroup] }));
    const fromBalancer = { UserIdGroupPairs: [{ GroupId: DEFAULT_IDS.loadBalancerGroup }] };
    expect((await describeGroup()).SecurityGroups?.[0]?.IpPermissions).toMatchObject([
      { IpProtocol: 'tcp', FromPort: 8080, ToPort: 8080, ...fromBalancer },
      { IpProtocol: 'tcp', FromPort: 8081, ToPort: 8081, ...fromBalancer },
    ]);
    const group = network.securityGroups.find(({ id }) => id === DEFAULT_IDS.instanceGroup);
    group?.ingress.pop();
    expect((await describeGroup()).SecurityGroups?.[0]?.IpPermissions).toHaveLength(1);
  });

  test('opens the load balancer to the world', async () => {
    const Filters = [{ Name: 'group-id', Values: [DEFAULT_IDS.loadBalancerGroup] }];
    const { SecurityGroupRules } = await client.send(new DescribeSecurityGroupRulesCommand({ Filters }));
    expect(SecurityGroupRules).toMatchObject([
      { IsEgress: false, FromPort: 80, CidrIpv4: '0.0.0.0/0' },
      { IsEgress: false, FromPort: 443, CidrIpv4: '0.0.0.0/0' },
      { IsEgress: true, IpProtocol: '-1', FromPort: -1 },
    ]);
  });

  test('has a subnet a zone under the default ACL', async () => {
    const { Subnets } = await client.send(new DescribeSubnetsCommand({}));
    expect(Subnets?.map(({ AvailabilityZone, CidrBlock }) => [AvailabilityZone, CidrBlock])).toEqual([
      ['eu-central-1a', '10.0.1.0/24'],
      ['eu-central-1b', '10.0.2.0/24'],
    ]);
    const Filters = [{ Name: 'association.subnet-id', Values: [Subnets?.[1]?.SubnetId ?? ''] }];
    const { NetworkAcls } = await client.send(new DescribeNetworkAclsCommand({ Filters }));
    expect(NetworkAcls?.[0]).toMatchObject({ IsDefault: true, NetworkAclId: DEFAULT_IDS.networkAcl });
    expect(NetworkAcls?.[0]?.Entries).toContainEqual({
      RuleNumber: 32767,
      Protocol: '-1',
      RuleAction: 'deny',
      Egress: true,
      CidrBlock: '0.0.0.0/0',
    });
    const { AvailabilityZones } = await client.send(new DescribeAvailabilityZonesCommand({}));
    expect(AvailabilityZones?.map(({ ZoneName }) => ZoneName)).toEqual(['eu-central-1a', 'eu-central-1b']);
  });

  test('an unknown group is an error by id and by name', async () => {
    const byId = client.send(new DescribeSecurityGroupsCommand({ GroupIds: ['sg-00000000000000000'] }));
    const byName = client.send(new DescribeSecurityGroupsCommand({ GroupNames: ['none'] }));
    expect((await failureOf(byId)).name).toBe('InvalidGroup.NotFound');
    expect((await failureOf(byName)).name).toBe('InvalidGroup.NotFound');
  });
});
