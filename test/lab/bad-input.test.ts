import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { denied, throttled } from '../../lab/faults.js';
import { createTargetGroup, defaultStack } from '../../lab/stack.js';
import type { WireCall } from '../../lab/wire/server.js';
import type { DeployOptions } from '../../src/deploy/options.js';
import type { Problem } from '../../src/problem.js';
import { LAB_TEST_MILLISECONDS, startTestLab, type TestLab } from './harness.js';

const HEALTH = 'elasticloadbalancing:DescribeTargetHealth';
const PLUGIN = '/usr/libexec/docker/cli-plugins/docker-compose';
const UNMANAGED = 'i-0feedfeedfeedfeed';

/** One answer of AWS decides what it refuses next. */
let react: (call: WireCall) => void = () => {};
let on: TestLab;

beforeAll(async () => {
  on = await startTestLab({ hosts: 2, onCall: (call) => react(call) });
}, LAB_TEST_MILLISECONDS);
afterAll(() => on?.end(), LAB_TEST_MILLISECONDS);
afterEach(() => {
  react = () => {};
  on.lab.faults.clear();
});

function story(name: string, work: () => Promise<void>): void {
  test(name, work, LAB_TEST_MILLISECONDS);
}

describe('a throttled load balancer', () => {
  story('costs time, not the deploy', async () => {
    react = throttleAfterRegistration();
    const result = await on.deploy();
    expect(result.problems).toEqual([]);
    expect(result.outcome).toBe('succeeded');
    expect(await on.versions()).toEqual(['1', '1']);
    expect(on.said.join('\n')).toMatch(/Asking more slowly: AWS_THROTTLED[\s\S]*The load balancer answers again/);
    expect(changesIn(on.calls)).toEqual(expect.arrayContaining(['elasticloadbalancing:RegisterTargets']));
    expect(changesIn(on.calls)).toEqual(expect.arrayContaining(['ssm:SendCommand prepare', 'ssm:SendCommand swap']));
  });
});

describe('bad input gets a clear error before anything is touched', () => {
  beforeAll(async () => {
    const { lab } = on;
    const [host] = lab.hosts;
    const known = host && lab.instances.get(host.id);
    if (!known) throw new Error('The lab has no host.');
    lab.instances.add({ ...known, id: UNMANAGED, name: 'unmanaged', privateIp: '192.0.2.1' });
    const group = (name: string, hosts: readonly string[]) => createTargetGroup(lab, { ...defaultStack, name, hosts });
    await forward(await group('empty', []), '/empty');
    await forward(await group('half', [known.id, UNMANAGED]), '/half');
    await group('aside', [known.id]);
  });

  story('no compose file', async () => {
    const [found, ...others] = await rejected({ projectDirectory: project('nothing') });
    expect(others).toEqual([]);
    expect(found).toMatchObject({ code: 'COMPOSE_FILE_NOT_FOUND', cause: expect.stringContaining('compose.yaml') });
    expect(found?.message).toContain(join(on.workspace, 'nothing'));
    expect(found?.fix).toContain('project-directory');
  });

  story('two services that could be the one behind the load balancer', async () => {
    const two = ['  web: {build: ., ports: ["8080:3000"]}', '  admin: {build: ., ports: ["9090:3000"]}'];
    const found = await rejected({ projectDirectory: project('two', two) });
    expect(found).toEqual([
      {
        code: 'WEB_SERVICE_AMBIGUOUS',
        where: 'compose.yaml:1',
        message: 'admin and web all have a build and a published port.',
        fix: 'Say which one the load balancer talks to, such as service: admin.',
      },
    ]);
  });

  story('a target group of type ip', async () => {
    const created = await on.lab.call('elasticloadbalancing', 'CreateTargetGroup', {
      ...{ Name: 'by-address', Protocol: 'HTTP', Port: '8080', VpcId: on.lab.network.vpc.id, TargetType: 'ip' },
    });
    const [{ TargetGroupArn: nameOrArn }] = created.TargetGroups as [{ TargetGroupArn: string }];
    const [found, ...others] = await rejected({ targetGroups: [{ nameOrArn }] });
    expect(others).toEqual([]);
    expect(found).toMatchObject({
      code: 'TARGET_GROUP_TYPE',
      message: expect.stringContaining('by-address is of type ip'),
    });
    expect(found?.fix).toContain('target group of type instance');
  });

  story('a target group without targets', async () => {
    const [found, ...others] = await rejected({ targetGroups: [{ nameOrArn: 'empty-web' }] });
    expect(others).toEqual([]);
    expect(found).toMatchObject({ code: 'FLEET_EMPTY', message: 'No instance is registered in empty-web.' });
    expect(found?.fix).toContain('aws elbv2 register-targets');
  });

  story('a target group that nothing forwards to', async () => {
    const [found, ...others] = await rejected({ targetGroups: [{ nameOrArn: 'aside-web' }] });
    expect(others).toEqual([]);
    expect(found).toMatchObject({ code: 'TARGET_GROUP_NOT_IN_USE', message: expect.stringContaining('aside-web') });
    expect(found?.fix).toContain('forward to aside-web');
  });

  story('a target group that does not exist', async () => {
    const [found, ...others] = await rejected({ targetGroups: [{ nameOrArn: 'shpo-web' }] });
    expect(others).toEqual([]);
    expect(found).toMatchObject({ code: 'TARGET_GROUP_NOT_FOUND', message: expect.stringContaining("'shpo-web'") });
    expect(found?.fix).toContain('aws elbv2 describe-target-groups');
  });

  story('a registered instance that SSM does not know', async () => {
    const [found, ...others] = await rejected({ targetGroups: [{ nameOrArn: 'half-web' }] });
    expect(others).toEqual([]);
    expect(found).toMatchObject({ code: 'HOST_NOT_MANAGED', message: `SSM can not reach ${UNMANAGED}.` });
    expect(found?.fix).toContain('AmazonSSMManagedInstanceCore');
  });

  story('a host without the compose plugin', async () => {
    const [found, ...others] = await withoutCompose(() => rejected({}));
    expect(others).toEqual([]);
    expect(found).toMatchObject({ code: 'HOST_COMPOSE_MISSING', where: on.lab.hosts[0]?.id });
    expect(found?.fix).toContain('apt-get install -y docker-compose');
  });

  story('a repository that does not exist', async () => {
    const [found, ...others] = await rejected({ repository: 'nowhere' });
    expect(others).toEqual([]);
    expect(found).toMatchObject({ code: 'REPOSITORY_NOT_FOUND', message: expect.stringContaining("'nowhere'") });
    expect(found?.fix).toContain('aws ecr create-repository --repository-name nowhere');
    expect(found?.fix).toContain('create-repository: true');
  });

  story('a published port that is not the one of the targets', async () => {
    const found = await rejected({ projectDirectory: project('ports', OTHER_PORT) });
    expect(found).toEqual([
      {
        code: 'PORT_MISMATCH',
        where: 'compose.yaml:5',
        message: 'web publishes 9090, but the targets of shop-web are registered on 8080.',
        fix: 'Publish 8080, or register the targets of shop-web on 9090.',
      },
    ]);
  });

  story('all of it at once, in the order in which it is looked up', async () => {
    const options = { projectDirectory: project('all', OTHER_PORT), repository: 'nowhere' };
    const targetGroups = [
      { service: 'web', nameOrArn: 'half-web' },
      { service: 'web', nameOrArn: 'shpo-web' },
    ];
    const found = await withoutCompose(() => rejected({ ...options, targetGroups }));
    expect(found.map(({ code }) => code)).toEqual([
      'TARGET_GROUP_NOT_FOUND',
      'REPOSITORY_NOT_FOUND',
      'PORT_MISMATCH',
      'HOST_NOT_MANAGED',
      'HOST_COMPOSE_MISSING',
    ]);
    expect(found.filter(({ fix }) => !fix)).toEqual([]);
  });

  story('hosts that are named are looked at even where the target group is not known', async () => {
    const fleet = { kind: 'instances' as const, ids: [UNMANAGED] };
    const found = await rejected({
      fleet,
      targetGroups: [{ nameOrArn: 'shpo-web' }],
      projectDirectory: project('none'),
    });
    expect(found.map(({ code }) => code)).toEqual([
      'TARGET_GROUP_NOT_FOUND',
      'COMPOSE_FILE_NOT_FOUND',
      'HOST_NOT_MANAGED',
    ]);
  });

  story('a repository that is to be created is not, as long as something else is wrong', async () => {
    const wanted = { repository: 'later', createRepository: true };
    const found = await rejected({ ...wanted, projectDirectory: project('without') });
    expect(found.map(({ code }) => code)).toEqual(['COMPOSE_FILE_NOT_FOUND']);
    on.calls.length = 0;
    expect(await on.deploy({ ...wanted, dryRun: true })).toMatchObject({ outcome: 'unchanged', problems: [] });
    expect(changesIn(on.calls)).toEqual([]);
  });

  story('a second published port is no bad input, when the targets tell which one serves', async () => {
    const ports = ['  web:', '    build: .', '    ports: ["8080:3000", "9229:9229"]'];
    const result = await on.deploy({ projectDirectory: project('debugger', ports), dryRun: true });
    expect(result).toMatchObject({ outcome: 'unchanged', problems: [] });
  });

  story('a role that may not describe target groups', async () => {
    on.lab.faults.add(denied('elasticloadbalancing:DescribeTargetGroups', 1));
    expect(await rejected({})).toEqual([deniedProblem('elasticloadbalancing:DescribeTargetGroups')]);
  });

  story('a role that may not send commands, and what was found before it was asked to', async () => {
    on.lab.faults.add(denied('ssm:SendCommand', 1));
    const found = await rejected({ targetGroups: [{ nameOrArn: 'half-web' }] });
    expect(found).toEqual([expect.objectContaining({ code: 'HOST_NOT_MANAGED' }), deniedProblem('ssm:SendCommand')]);
  });
});

const OTHER_PORT = ['  web:', '    build: .', '    ports:', '      - "9090:3000"'];

/** A folder of the workspace, with a compose file where it has services. */
function project(name: string, services: readonly string[] = []): string {
  const folder = join(on.workspace, name);
  mkdirSync(folder);
  if (services.length > 0) writeFileSync(join(folder, 'compose.yaml'), ['services:', ...services, ''].join('\n'));
  return folder;
}

/** Deploys, expects that it was refused and that nothing moved, and gives back why. */
async function rejected(options: Partial<DeployOptions>): Promise<readonly Problem[]> {
  const before = await standing();
  on.calls.length = 0;
  const result = await on.deploy(options);
  const changes = changesIn(on.calls);
  expect(result).toMatchObject({ outcome: 'rejected', release: undefined, image: undefined });
  expect(result.phases.map(({ phase }) => phase)).toEqual(['resolve']);
  expect(changes).toEqual([]);
  expect(await standing()).toEqual(before);
  return result.problems;
}

/** What a deploy would move: targets, containers, images. */
async function standing() {
  const { lab, stack } = on;
  const { imageIds } = await lab.call('ecr', 'ListImages', { repositoryName: stack.name });
  const containers = await Promise.all(lab.hosts.map((host) => lab.exec(host, ['docker', 'ps', '-a', '-q'])));
  const targets = lab.loadBalancer.targetHealth(stack.targetGroup);
  expect(targets.map(({ State }) => State)).toEqual(['healthy', 'healthy']);
  expect(imageIds).not.toEqual([]);
  return { imageIds, containers, targets };
}

/** Calls that change something; a command counts as its verb, and the preflight only looks. */
function changesIn(calls: readonly WireCall[]): string[] {
  const changes = calls.filter(({ operation }) => !/^(Describe|List|Get)/.test(operation));
  return changes.map(nameOf).filter((name) => name !== 'ssm:SendCommand preflight');
}

function nameOf({ service, operation, input }: WireCall): string {
  const verb = /^ec2-compose-deploy: (\w+) /.exec(String(input.Comment ?? ''))?.[1];
  return `${service}:${operation}${verb ? ` ${verb}` : ''}`;
}

async function withoutCompose<T>(work: () => Promise<T>): Promise<T> {
  const [host] = on.lab.hosts;
  if (!host) throw new Error('The lab has no host.');
  await on.lab.exec(host, ['mv', PLUGIN, `${PLUGIN}.away`]);
  try {
    return await work();
  } finally {
    await on.lab.exec(host, ['mv', `${PLUGIN}.away`, PLUGIN]);
  }
}

async function forward(TargetGroupArn: string, path: string): Promise<void> {
  const [listener] = on.lab.loadBalancer.listeners();
  await on.lab.call('elasticloadbalancing', 'CreateRule', {
    ListenerArn: listener?.arn,
    Priority: String(path.length),
    Conditions: [{ Field: 'path-pattern', Values: [path] }],
    Actions: [{ Type: 'forward', TargetGroupArn }],
  });
}

/**
 * After the first registration more calls than the SDK tries are throttled before one is answered, and again once the gate
 * has begun to ask.
 */
function throttleAfterRegistration(): typeof react {
  let answers: number | undefined;
  return ({ operation, status }) => {
    if (operation === 'RegisterTargets' && answers === undefined) {
      answers = 0;
      on.lab.faults.add(throttled(HEALTH, 6));
    }
    if (operation !== 'DescribeTargetHealth' || answers === undefined || status !== 200) return;
    answers += 1;
    if (answers === 2) on.lab.faults.add(throttled(HEALTH, 5));
  };
}

function deniedProblem(action: string): Problem {
  return {
    code: 'AWS_ACCESS_DENIED',
    message: `The role of this job may not call ${action}.`,
    cause: expect.stringContaining(action) as unknown as string,
    fix: `Allow ${action} in the role's policy.`,
  };
}
