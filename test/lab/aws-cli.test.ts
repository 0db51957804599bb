import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { HubEvent } from '../../lab/agent/hub-protocol.js';
import type { LabHost } from '../../lab/hosts/host.js';
import { LAB_TEST_MILLISECONDS, startTestLab, type TestLab } from './harness.js';

/** Longer than any test here takes; ends the container where nobody lives to remove it. */
const CLI_LIFETIME_SECONDS = '900';
/** Longer than the commands of a test take, so that what is draining is seen to be. */
const DRAIN_SECONDS = 300;

type Answer = { readonly [key: string]: unknown };

/** The AWS CLI and docker of a distribution, as they are, on the machine that the lab runs on. */
describe('the AWS CLI', () => {
  let on: TestLab;
  let cli = '';
  let host: LabHost;

  beforeAll(async () => {
    on = await startTestLab({ hosts: 1, stack: { deregistrationDelaySeconds: DRAIN_SECONDS } });
    const [only] = on.lab.hosts;
    if (!only) throw new Error('The lab has no host.');
    host = only;
    cli = await startCli(on);
  }, LAB_TEST_MILLISECONDS);
  afterAll(async () => {
    if (cli) await on.lab.docker.attempt(['rm', '-f', cli]);
    await on?.end();
  }, LAB_TEST_MILLISECONDS);

  const shell = (script: string) => on.lab.docker.attempt(['exec', cli, 'bash', '-o', 'pipefail', '-c', script]);
  /** What the CLI prints, read; its error output, where it fails. */
  const aws = async (...args: string[]): Promise<Answer> => {
    const { code, stdout, stderr } = await on.lab.docker.attempt(['exec', cli, 'aws', ...args]);
    if (code !== 0) throw new Error(stderr.trim());
    return stdout.trim() === '' ? {} : JSON.parse(stdout);
  };
  const run = (name: string, work: () => Promise<void>) => test(name, work, LAB_TEST_MILLISECONDS);

  run(
    'is the deploy role here, and on a host the role of the instance, with nothing set up but where AWS is',
    async () => {
      expect(await aws('sts', 'get-caller-identity')).toMatchObject({
        Account: on.lab.account,
        Arn: `arn:aws:iam::${on.lab.account}:role/deploy`,
      });
      const set = await on.lab.exec(host, [
        'bash',
        '-c',
        'env | grep ^AWS_ || true; ls /root/.aws; cat /root/.aws/config',
      ]);
      expect(set).toMatch(/^config\n\[default\]\nregion = us-east-1\nendpoint_url = \S+\n$/);
      const identity = await on.lab.exec(host, [
        'aws',
        'sts',
        'get-caller-identity',
        '--query',
        'Arn',
        '--output',
        'text',
      ]);
      expect(identity.trim()).toBe(`arn:aws:sts::${on.lab.account}:assumed-role/lab-host/${host.id}`);
      const metadata = 'http://169.254.169.254/latest/meta-data/instance-id';
      const withoutToken = await on.lab.exec(host, ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', metadata]);
      expect(withoutToken).toBe('401');
    },
  );

  run('logs docker in to ECR, which gives nothing and takes nothing before', async () => {
    const { registry } = on.lab;
    const image = `${registry}/${on.stack.name}:tiny`;
    const login = `aws ecr get-login-password | docker login --username AWS --password-stdin ${registry}`;
    await shell(`tar -C /etc -c hostname | docker import - ${image}`);
    expect((await shell(`docker push ${image}`)).stderr).toContain('no basic auth credentials');

    expect((await shell(login)).stdout).toContain('Login Succeeded');
    const pushed = await shell(`docker push ${image}`);
    const digest = /digest: (sha256:[0-9a-f]{64})/.exec(pushed.stdout)?.[1];
    expect(pushed.stderr).toBe('');
    const { imageDetails } = await aws('ecr', 'describe-images', '--repository-name', on.stack.name);
    expect(imageDetails).toEqual([expect.objectContaining({ imageTags: ['tiny'], imageDigest: digest })]);
    const nowhere = `${registry}/nowhere:tiny`;
    const refused = await shell(`docker tag ${image} ${nowhere} && docker push ${nowhere}; docker rmi ${nowhere}`);
    expect(refused.stderr).toContain("name unknown: The repository with name 'nowhere' does not exist");

    await shell(`docker logout ${registry} && docker rmi ${image}`);
    expect((await shell(`docker pull ${image}`)).stderr).toContain('no basic auth credentials');
    await shell(login);
    expect((await shell(`docker pull ${image}`)).stdout).toContain(`Digest: ${digest}`);
    await shell(`docker rmi ${image}`);
  });

  const send = async (script: string): Promise<string> => {
    const parameters = JSON.stringify({ commands: script.split('\n') });
    const document = ['--document-name', 'AWS-RunShellScript', '--parameters', parameters];
    const sent = await aws('ssm', 'send-command', '--instance-ids', host.id, '--comment', 'by hand', ...document);
    return (sent.Command as { CommandId: string }).CommandId;
  };
  /** Asked again until there is one, and it has ended: SSM knows a command a moment after it was sent. */
  const ended = async (id: string): Promise<Answer> => {
    for (;;) {
      const list = await aws('ssm', 'list-command-invocations', '--command-id', id, '--details');
      const [invocation] = list.CommandInvocations as Answer[];
      if (invocation && !['Pending', 'InProgress', 'Cancelling'].includes(String(invocation.Status))) return invocation;
    }
  };

  run('sends a script to a host and reads both streams and the exit code', async () => {
    const id = await send('echo to stdout\necho to stderr >&2\nexit 3');
    const invocation = await ended(id);
    expect(invocation).toMatchObject({
      InstanceId: host.id,
      Comment: 'by hand',
      Status: 'Failed',
      StatusDetails: 'Failed',
    });
    const [plugin] = invocation.CommandPlugins as Answer[];
    expect(plugin).toMatchObject({ Name: 'aws:runShellScript', ResponseCode: 3 });
    expect(plugin?.Output).toMatch(/^to stdout\n\n-+ERROR-+\nto stderr\n/);

    const [alone, { Commands }, { InstanceInformationList }] = await Promise.all([
      aws('ssm', 'get-command-invocation', '--command-id', id, '--instance-id', host.id),
      aws('ssm', 'list-commands', '--command-id', id),
      aws('ssm', 'describe-instance-information'),
    ]);
    expect(alone).toMatchObject({ ResponseCode: 3, StandardOutputContent: 'to stdout\n' });
    expect(alone.StandardErrorContent).toMatch(/^to stderr\n/);
    expect(Commands).toEqual([
      expect.objectContaining({ CommandId: id, Status: 'Failed', TargetCount: 1, ErrorCount: 1 }),
    ]);
    expect(InstanceInformationList).toEqual([
      expect.objectContaining({ InstanceId: host.id, PingStatus: 'Online', IPAddress: host.address }),
    ]);
  });

  run('cancels a script that runs, and is told of an instance that SSM does not manage', async () => {
    const begun = scriptBegun(on, host);
    const id = await send('sleep 600');
    await begun;
    await aws('ssm', 'cancel-command', '--command-id', id);
    expect(await ended(id)).toMatchObject({ Status: 'Cancelled' });
    const parameters = ['--document-name', 'AWS-RunShellScript', '--parameters', 'commands=true'];
    await expect(aws('ssm', 'send-command', '--instance-ids', 'i-0feedfeedfeedfeed', ...parameters)).rejects.toThrow(
      'An error occurred (InvalidInstanceId) when calling the SendCommand operation',
    );
  });

  run('reads the load balancer, and takes a target out and puts it back', async () => {
    const group = ['--target-group-arn', on.stack.targetGroup];
    const health = async () => (await aws('elbv2', 'describe-target-health', ...group)).TargetHealthDescriptions;
    const [{ TargetGroups }, { LoadBalancers }, before] = await Promise.all([
      aws('elbv2', 'describe-target-groups', '--names', 'shop-web'),
      aws('elbv2', 'describe-load-balancers', '--names', 'shop'),
      health(),
    ]);
    expect(TargetGroups).toEqual([
      expect.objectContaining({
        ...{ TargetGroupArn: on.stack.targetGroup, TargetType: 'instance', Port: 8080, HealthCheckPath: '/health' },
        ...{ LoadBalancerArns: [on.stack.loadBalancer], Matcher: { HttpCode: '200' } },
      }),
    ]);
    expect(LoadBalancers).toEqual([
      expect.objectContaining({
        LoadBalancerArn: on.stack.loadBalancer,
        Type: 'application',
        State: { Code: 'active' },
      }),
    ]);
    const target = { Target: { Id: host.id, Port: 8080 }, HealthCheckPort: '8080' };
    expect(before).toEqual([expect.objectContaining(target)]);

    const targets = ['--targets', `Id=${host.id},Port=8080`];
    await aws('elbv2', 'deregister-targets', ...group, ...targets);
    const draining = { State: 'draining', Reason: 'Target.DeregistrationInProgress' };
    expect(await health()).toEqual([expect.objectContaining({ TargetHealth: expect.objectContaining(draining) })]);
    await aws('elbv2', 'register-targets', ...group, ...targets);
    const state = expect.stringMatching(/^(initial|unhealthy)$/);
    expect(await health()).toEqual([
      expect.objectContaining({ TargetHealth: expect.objectContaining({ State: state }) }),
    ]);

    await expect(aws('elbv2', 'describe-target-groups', '--names', 'nowhere')).rejects.toThrow(
      'An error occurred (TargetGroupNotFound) when calling the DescribeTargetGroups operation',
    );
  });

  run('keeps parameters, and overwrites one only when told to', async () => {
    const put = (name: string, value: string, ...more: string[]) =>
      aws('ssm', 'put-parameter', '--name', `/shop/${name}`, '--value', value, ...more);
    expect(await put('color', 'red', '--type', 'String')).toEqual({ Version: 1, Tier: 'Standard' });
    await expect(put('color', 'green', '--type', 'String')).rejects.toThrow(
      'An error occurred (ParameterAlreadyExists) when calling the PutParameter operation: The parameter already ' +
        'exists. To overwrite this value, set the overwrite option in the request to true.',
    );
    expect(await put('color', 'blue', '--overwrite')).toMatchObject({ Version: 2 });
    await put('db/password', 'hunter2', '--type', 'SecureString');

    const both = ['--names', '/shop/color', '/shop/db/password', '/shop/missing'];
    const [one, several, below, history] = await Promise.all([
      aws('ssm', 'get-parameter', '--name', '/shop/color'),
      aws('ssm', 'get-parameters', ...both, '--with-decryption'),
      aws('ssm', 'get-parameters-by-path', '--path', '/shop', '--recursive'),
      aws('ssm', 'get-parameter-history', '--name', '/shop/color'),
    ]);
    expect(one.Parameter).toMatchObject({ Value: 'blue', Version: 2, Type: 'String' });
    expect((several.Parameters as Answer[]).map(({ Value }) => Value).sort()).toEqual(['blue', 'hunter2']);
    expect(several.InvalidParameters).toEqual(['/shop/missing']);
    const hidden = Object.fromEntries((below.Parameters as Answer[]).map(({ Name, Value }) => [Name, Value]));
    expect(Object.keys(hidden).sort()).toEqual(['/shop/color', '/shop/db/password']);
    expect(hidden['/shop/db/password']).not.toContain('hunter2');
    expect((history.Parameters as Answer[]).map(({ Version, Value }) => [Version, Value])).toEqual([
      [1, 'red'],
      [2, 'blue'],
    ]);

    await aws('ssm', 'delete-parameter', '--name', '/shop/color');
    await expect(aws('ssm', 'get-parameter', '--name', '/shop/color')).rejects.toThrow(
      'An error occurred (ParameterNotFound) when calling the GetParameter operation',
    );
  });

  run('sees the instance and the network around it', async () => {
    const { network } = on.lab;
    const [instances, groups, subnets, acls] = await Promise.all([
      aws('ec2', 'describe-instances', '--instance-ids', host.id, '--query', 'Reservations[].Instances[] | [0]'),
      aws('ec2', 'describe-security-groups', '--filters', 'Name=group-name,Values=instances'),
      aws('ec2', 'describe-subnets'),
      aws('ec2', 'describe-network-acls', '--filters', `Name=vpc-id,Values=${network.vpc.id}`),
    ]);
    expect(instances).toMatchObject({
      ...{ InstanceId: host.id, PrivateIpAddress: host.address, VpcId: network.vpc.id },
      ...{ State: { Code: 16, Name: 'running' }, Placement: { AvailabilityZone: 'us-east-1a' } },
    });
    const [group] = groups.SecurityGroups as [{ IpPermissions: Answer[] }];
    const ports = group.IpPermissions.map(({ FromPort, ToPort }) => [FromPort, ToPort]);
    expect(ports.sort()).toEqual([
      [8080, 8080],
      [8081, 8081],
    ]);
    expect((subnets.Subnets as Answer[]).map(({ SubnetId }) => SubnetId)).toEqual(network.subnets.map(({ id }) => id));
    const [acl] = acls.NetworkAcls as Answer[];
    expect(acl).toMatchObject({ NetworkAclId: network.networkAcls[0]?.id, IsDefault: true });
    expect(acl?.Entries).toHaveLength(4);
  });
});

/** A container in this machine's network, where the lab's endpoint and registry are, with the engine's socket for docker. */
async function startCli({ lab }: TestLab): Promise<string> {
  const socket = (lab.docker.env.DOCKER_HOST ?? process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock').replace(
    'unix://',
    '',
  );
  const settings = Object.entries(lab.env).filter(([name]) => name.startsWith('AWS_'));
  const id = await lab.docker([
    ...['run', '-d', '--rm', '--init', '--network', 'host', '-v', `${socket}:/var/run/docker.sock`],
    ...settings.flatMap(([name, value]) => ['-e', `${name}=${value}`]),
    ...[lab.image, 'sleep', CLI_LIFETIME_SECONDS],
  ]);
  return id.trim();
}

/** Resolves when the agent of a host has taken the next command. */
function scriptBegun({ lab }: TestLab, host: LabHost): Promise<void> {
  return new Promise((resolve) => {
    const stop = lab.hub.onEvent((event: HubEvent) => {
      if (event.kind !== 'acknowledged' || event.instanceId !== host.id) return;
      stop();
      resolve();
    });
  });
}
