import { createServer } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { roleCredentials, startTestHost, type TestHost } from './host.js';
import { Bench } from './run.js';

const START_MILLISECONDS = 60_000;
const TEST_MILLISECONDS = 60_000;
const IMDS = 'http://169.254.169.254';

let host: TestHost;
let bench: Bench;

beforeAll(async () => {
  host = await startTestHost();
  bench = new Bench(host);
}, START_MILLISECONDS);

afterAll(async () => host?.stop());

const curl = (...args: string[]) => host.exec(['curl', '-sS', '-w', '\n%{http_code}', ...args]);

async function metadataToken(): Promise<string> {
  const header = ['-H', 'X-aws-ec2-metadata-token-ttl-seconds: 60'];
  const answer = await curl('-X', 'PUT', ...header, `${IMDS}/latest/api/token`);
  expect(answer).toMatch(/\n200$/);
  return answer.split('\n')[0] ?? '';
}

async function read(path: string): Promise<string> {
  return curl('-H', `X-aws-ec2-metadata-token: ${await metadataToken()}`, `${IMDS}/latest/${path}`);
}

describe('the metadata service', () => {
  test('wants a token: 401 without one, 401 with a made-up one, 400 for one without a lifetime', async () => {
    expect(await curl(`${IMDS}/latest/meta-data/instance-id`)).toMatch(/\n401$/);
    const madeUp = ['-H', 'X-aws-ec2-metadata-token: AQAEAL'];
    expect(await curl(...madeUp, `${IMDS}/latest/meta-data/instance-id`)).toMatch(/\n401$/);
    expect(await curl('-X', 'PUT', `${IMDS}/latest/api/token`)).toMatch(/\n400$/);
  });

  test('tells the instance what it is', async () => {
    const address = (await host.exec(['hostname', '-i'])).trim();
    const told = {
      'meta-data/instance-id': host.instanceId,
      'meta-data/local-ipv4': address,
      'meta-data/placement/availability-zone': 'us-east-1b',
      'meta-data/placement/region': 'us-east-1',
      'meta-data/instance-type': 't3.small',
      'meta-data/hostname': `ip-${address.replaceAll('.', '-')}.us-east-1.compute.internal`,
      'meta-data/iam/security-credentials/': 'lab-host',
      'meta-data/placement/': 'availability-zone\nregion',
    };
    for (const [path, text] of Object.entries(told)) expect([path, await read(path)]).toEqual([path, `${text}\n200`]);
    const document = (await read('dynamic/instance-identity/document')).replace(/\n200$/, '');
    expect(JSON.parse(document)).toMatchObject({
      accountId: '123456789012',
      instanceId: host.instanceId,
      privateIp: address,
      region: 'us-east-1',
    });
    expect(await read('meta-data/no-such-thing')).toMatch(/\n404$/);
  });

  test(
    'the AWS CLI on the host signs with the role, given nothing but a region and an endpoint',
    async () => {
      const seen: { authorization?: string | undefined; token?: string | string[] | undefined }[] = [];
      const sts = createServer((request, response) => {
        const { authorization, 'x-amz-security-token': token } = request.headers;
        seen.push({ authorization, token });
        const result = '<Account>123456789012</Account><Arn>arn:aws:sts::123456789012:assumed-role/lab-host/i</Arn>';
        response.setHeader('content-type', 'text/xml');
        response.end(
          `<GetCallerIdentityResponse><GetCallerIdentityResult>${result}</GetCallerIdentityResult></GetCallerIdentityResponse>`,
        );
      });
      const route = (await host.exec(['ip', 'route', 'show', 'default'])).split(' ')[2] ?? '';
      await new Promise<void>((resolve) => sts.listen(0, route, resolve));
      const address = sts.address();
      const port = typeof address === 'object' ? address?.port : 0;
      const config = `[default]\nregion = us-east-1\nendpoint_url = http://${route}:${port}\n`;
      await host.exec(['sh', '-c', 'mkdir -p /root/.aws && cat >/root/.aws/config'], config);
      const { standardOutput, standardError } = await bench.plugin(
        await bench.send({ commands: ['export HOME=/root', 'aws sts get-caller-identity --query Arn --output text'] }),
      );
      sts.close();
      sts.closeAllConnections();
      expect({ standardOutput, standardError }).toEqual({
        standardOutput: 'arn:aws:sts::123456789012:assumed-role/lab-host/i\n',
        standardError: '',
      });
      const { accessKeyId, sessionToken } = roleCredentials();
      expect(seen).toHaveLength(1);
      expect(seen[0]?.authorization).toContain(`Credential=${accessKeyId}/`);
      expect(seen[0]?.token).toBe(sessionToken);
    },
    TEST_MILLISECONDS,
  );
});

test('a script inherits nothing but its three streams', async () => {
  // 10 is where dash reads the script itself.
  const { standardOutput } = await bench.plugin(await bench.send({ commands: ['ls /proc/$$/fd'] }));
  expect(standardOutput.trim().split('\n')).toEqual(['0', '1', '10', '2']);
});

describe('an agent in trouble', () => {
  test('one that hangs is Online and takes nothing; when it recovers it runs what waits', async () => {
    host.hub.hang(host.instanceId);
    const lost = await bench.send({ commands: ['echo lost'] });
    const kept = await bench.send({ commands: ['echo kept'] });
    await new Promise((resolve) => host.clock.after(0, () => resolve(undefined)));
    expect(await bench.call('DescribeInstanceInformation', {})).toMatchObject({
      InstanceInformationList: [{ InstanceId: host.instanceId, PingStatus: 'Online', AgentVersion: '3.3.0.0' }],
    });
    await bench.call('CancelCommand', { CommandId: lost });
    expect((await bench.answers(lost)).invocation).toMatchObject({ Status: 'Cancelled', ResponseCode: -1 });
    expect((await bench.answers(kept)).invocation).toMatchObject({ Status: 'InProgress', ResponseCode: -1 });
    host.hub.unhang(host.instanceId);
    expect((await bench.plugin(kept)).standardOutput).toBe('kept\n');
    expect(bench.replies(lost)).toEqual([]);
  });

  test(
    'a host that loses the network for a while ends its script and reports when it is back',
    async () => {
      const commandId = await bench.send({ commands: ['sleep 1.5', 'echo still here'] });
      await bench.running('sleep 1.5');
      await host.disconnect();
      await bench.ended('sleep 1.5');
      expect(bench.replies(commandId).map(({ documentStatus }) => documentStatus)).toEqual(['InProgress']);
      expect(host.hub.isOnline(host.instanceId)).toBe(true);
      await host.reconnect();
      expect(await bench.plugin(commandId)).toMatchObject({ status: 'Success', standardOutput: 'still here\n' });
      expect((await bench.plugin(await bench.send({ commands: ['echo next'] }))).standardOutput).toBe('next\n');
    },
    TEST_MILLISECONDS,
  );

  test(
    'an agent that starts while the network is away registers when it is back',
    async () => {
      await host.disconnect();
      const restarted = host.restartAgent();
      await host.exec(['sh', '-c', 'until pgrep -f "^python3 .*agent.py"; do sleep 0.1; done']);
      await host.reconnect();
      await restarted;
      expect((await bench.plugin(await bench.send({ commands: ['echo back'] }))).standardOutput).toBe('back\n');
    },
    TEST_MILLISECONDS,
  );

  test('the wrong token gets nothing', async () => {
    const body = JSON.stringify({ instance: host.instanceId, token: 'made up' });
    const gateway = (await host.exec(['ip', 'route', 'show', 'default'])).split(' ')[2];
    expect(await curl('-d', body, `http://${gateway}:${host.hub.port}/credentials`)).toMatch(/\n401$/);
  });
});
