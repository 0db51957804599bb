import { createServer } from 'node:http';
import { DescribeInstancesCommand, EC2Client } from '@aws-sdk/client-ec2';
import {
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  ElasticLoadBalancingV2Client,
  RegisterTargetsCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import {
  DescribeInstanceInformationCommand,
  GetParameterCommand,
  ListCommandsCommand,
  SSMClient,
} from '@aws-sdk/client-ssm';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createSts } from '../../lab/services/sts.js';
import { parseForm } from '../../lab/wire/form.js';
import { listenOnAll, type WireCall } from '../../lab/wire/server.js';
import { type Input, type Service, ServiceError } from '../../lab/wire/service.js';
import { ACCOUNT, clientSettings, DEPLOYER, failureOf, ssmService, startLocalAws } from './local-aws.js';

const AWKWARD = `<b a="1">'&'</b>\n ünï ]]> `;
const MOMENT = new Date('2026-11-22T15:30:00.250Z');

let received: Input = {};

const elb: Service = {
  id: 'elasticloadbalancing',
  protocol: 'query',
  version: '2015-12-01',
  xmlNamespace: 'http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/',
  operations: {
    RegisterTargets: (input) => {
      received = input;
    },
    DescribeTargetHealth: () => ({
      TargetHealthDescriptions: [
        { Target: { Id: 'i-1', Port: 80 }, TargetHealth: { State: 'unhealthy', Description: AWKWARD } },
        { Target: { Id: 'i-2', Port: 81 }, TargetHealth: { State: 'healthy', Description: undefined } },
      ],
    }),
    DescribeTargetGroups: ({ Names }) => {
      if (!Array.isArray(Names)) return { TargetGroups: [] };
      throw new ServiceError('TargetGroupNotFound', 'One or more target groups not found');
    },
  },
};

const ec2: Service = {
  id: 'ec2',
  protocol: 'ec2',
  version: '2016-11-15',
  xmlNamespace: 'http://ec2.amazonaws.com/doc/2016-11-15/',
  operations: {
    DescribeInstances: (input) => {
      received = input;
      return {
        reservationSet: [
          { instancesSet: [{ instanceId: 'i-1', launchTime: MOMENT, ebsOptimized: false, tagSet: [] }] },
        ],
      };
    },
  },
};

const ssm = ssmService({
  GetParameter: () => ({ Parameter: { Name: AWKWARD, Version: 3, LastModifiedDate: MOMENT } }),
  DescribeInstanceInformation: () => {
    throw new Error('a bug of the lab');
  },
  SendCommand: () => {},
});

describe('the wire', () => {
  let local: Awaited<ReturnType<typeof startLocalAws>>;
  let calls: WireCall[] = [];
  let throttled = 0;

  beforeAll(async () => {
    local = await startLocalAws([ssm, elb, ec2, createSts()], {
      onCall: (call) => calls.push(call),
      intercept: ({ operation }) => {
        if (operation !== 'GetParameter' || throttled === 0) return undefined;
        throttled -= 1;
        return new ServiceError('ThrottlingException', 'Rate exceeded');
      },
    });
  });
  beforeEach(() => {
    calls = [];
  });
  afterAll(() => local.close());

  test('a json service answers times as times and text unchanged', async () => {
    const { Parameter, $metadata } = await new SSMClient(local.client).send(new GetParameterCommand({ Name: 'x' }));
    expect(Parameter).toMatchObject({ Name: AWKWARD, Version: 3, LastModifiedDate: MOMENT });
    expect($metadata.requestId).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('a query service gets its lists as lists and answers text that needs escaping unchanged', async () => {
    const client = new ElasticLoadBalancingV2Client(local.client);
    const Targets = Array.from({ length: 11 }, (_, index) => ({ Id: `i-${index}`, Port: 80 + index }));
    await client.send(new RegisterTargetsCommand({ TargetGroupArn: 'arn', Targets }));
    expect(received).toEqual({
      TargetGroupArn: 'arn',
      Targets: Targets.map(({ Id, Port }) => ({ Id, Port: String(Port) })),
    });
    const health = await client.send(new DescribeTargetHealthCommand({ TargetGroupArn: 'arn' }));
    expect(health.TargetHealthDescriptions).toEqual([
      { Target: { Id: 'i-1', Port: 80 }, TargetHealth: { State: 'unhealthy', Description: AWKWARD } },
      { Target: { Id: 'i-2', Port: 81 }, TargetHealth: { State: 'healthy' } },
    ]);
  });

  test('a query service can answer an empty list, and its errors have the names that the SDK gives them', async () => {
    const client = new ElasticLoadBalancingV2Client(local.client);
    expect((await client.send(new DescribeTargetGroupsCommand({}))).TargetGroups).toEqual([]);
    const error = await failureOf(client.send(new DescribeTargetGroupsCommand({ Names: ['none'] })));
    expect(error).toMatchObject({
      name: 'TargetGroupNotFoundException',
      Code: 'TargetGroupNotFound',
      message: 'One or more target groups not found',
      $fault: 'client',
    });
  });

  test('ec2 gets flat lists and answers lists of items, times and booleans', async () => {
    const { Reservations } = await new EC2Client(local.client).send(
      new DescribeInstancesCommand({ InstanceIds: ['i-1'], Filters: [{ Name: 'tag:App', Values: ['a', 'b'] }] }),
    );
    expect(received).toEqual({ InstanceId: ['i-1'], Filter: [{ Name: 'tag:App', Value: ['a', 'b'] }] });
    expect(Reservations?.[0]?.Instances?.[0]).toEqual({
      InstanceId: 'i-1',
      LaunchTime: MOMENT,
      EbsOptimized: false,
      Tags: [],
    });
  });

  test('the caller is told apart by access key', async () => {
    const { Arn, UserId, Account } = await new STSClient(local.client).send(new GetCallerIdentityCommand({}));
    expect({ Arn, UserId, Account }).toEqual({ Arn: DEPLOYER.arn, UserId: DEPLOYER.userId, Account: ACCOUNT });
  });

  test('a caller that the lab does not know is turned away by each protocol in its own words', async () => {
    const stranger = clientSettings(local.port, 'AKISTRANGER');
    const json = await failureOf(new SSMClient(stranger).send(new GetParameterCommand({ Name: 'x' })));
    const query = await failureOf(new STSClient(stranger).send(new GetCallerIdentityCommand({})));
    const flat = await failureOf(new EC2Client(stranger).send(new DescribeInstancesCommand({})));
    expect([json, query, flat].map(({ name, $metadata }) => ({ name, $metadata }))).toMatchObject([
      { name: 'UnrecognizedClientException', $metadata: { httpStatusCode: 403 } },
      { name: 'InvalidClientTokenId', $metadata: { httpStatusCode: 403 } },
      { name: 'AuthFailure', $metadata: { httpStatusCode: 401 } },
    ]);
    expect(calls).toEqual([]);
  });

  test('an operation that the lab lacks is named', async () => {
    const unknown = await failureOf(new SSMClient(local.client).send(new ListCommandsCommand({})));
    expect(unknown).toMatchObject({
      name: 'UnknownOperationException',
      message: expect.stringContaining('ListCommands'),
    });
    expect(calls).toMatchObject([{ operation: 'ListCommands', status: 400, code: 'UnknownOperationException' }]);
  });

  test('a fault of the lab itself is a server error that says what happened', async () => {
    const broken = await failureOf(new SSMClient(local.client).send(new DescribeInstanceInformationCommand({})));
    expect(broken).toMatchObject({ name: 'InternalFailure', message: 'a bug of the lab', $fault: 'server' });
    expect(calls).toMatchObject([{ code: 'InternalFailure', error: new Error('a bug of the lab') }]);
  });

  test('throttling that is injected once is overcome by the SDK and seen by the observer', async () => {
    throttled = 1;
    const client = new SSMClient({ ...local.client, maxAttempts: 3 });
    await client.send(new GetParameterCommand({ Name: 'x' }));
    expect(calls.map(({ service, operation, status, code }) => ({ service, operation, status, code }))).toEqual([
      { service: 'ssm', operation: 'GetParameter', status: 400, code: 'ThrottlingException' },
      { service: 'ssm', operation: 'GetParameter', status: 200, code: undefined },
    ]);
    expect(calls.map(({ principal }) => principal)).toEqual([DEPLOYER, DEPLOYER]);
  });
});

test('every address of the lab listens on the same port', async () => {
  const local = await startLocalAws([createSts()], { hosts: ['127.0.0.1', '127.0.0.2'] });
  const answers = await Promise.all(
    ['127.0.0.1', '127.0.0.2'].map((host) => fetch(`http://${host}:${local.port}/`, { method: 'POST' })),
  );
  expect(answers.map(({ status }) => status)).toEqual([403, 403]);
  await local.close();
});

test('a port that is taken is reported, and nothing stays open', async () => {
  const first = await listenOnAll({ hosts: ['127.0.0.2'] }, () => createServer());
  const options = { hosts: ['127.0.0.1', '127.0.0.2'], port: first.port };
  expect(await failureOf(startLocalAws([], options))).toMatchObject({ code: 'EADDRINUSE' });
  const again = await startLocalAws([], { hosts: ['127.0.0.1'], port: first.port });
  await Promise.all([first.close(), again.close()]);
});

test('a form with hostile names stays a plain value', () => {
  const parsed = parseForm('__proto__.polluted=1&constructor.member.1=a&A=1&A.B=2&Empty=');
  expect(({} as { polluted?: string }).polluted).toBeUndefined();
  expect(parsed).toMatchObject({ constructor: ['a'], A: { B: '2' }, Empty: '' });
});
