import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { LabHost } from '../../lab/hosts/host.js';
import { type Lab, startLab } from '../../lab/lab.js';
import { createStack, type Stack } from '../../lab/stack.js';
import type { WireCall } from '../../lab/wire/server.js';
import { root } from '../../scripts/metadata.js';
import { type ActionRun, runAction } from '../../scripts/runner.js';

/** What GitHub runs keeps to the real clock; the load balancer may be ahead of it, never behind. */
const SPEED = 5;
const MILLISECONDS = 300_000;
const PASSWORD = 'hunter2-only-in-this-test';
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** A user's repository, its pipeline as GitHub runs it, one instance. */
describe('the example with its database and cache on one instance', () => {
  const directory = mkdtempSync(join(tmpdir(), 'example-'));
  const workspace = join(directory, 'checkout');
  const calls: WireCall[] = [];
  const logs: string[] = [];
  let lab: Lab;
  let stack: Stack;
  let host: LabHost;

  beforeAll(async () => {
    const isOurs = (path: string) => !/(^|\/)(node_modules|dist)$/.test(path);
    cpSync(join(root, 'examples', 'nest-app'), workspace, { recursive: true, filter: isOurs });
    writeFileSync(join(workspace, '.env'), `POSTGRES_PASSWORD=${PASSWORD}\n`);
    lab = await startLab({ hosts: 1, speed: SPEED, onCall: (call) => calls.push(call) });
    stack = await createStack(lab, { deregistrationDelaySeconds: 2 });
    host = lab.hosts[0] as LabHost;
  }, MILLISECONDS);
  afterAll(async () => {
    await lab?.stop();
    rmSync(directory, { recursive: true, force: true });
  }, MILLISECONDS);

  async function run(action: string, inputs: { [name: string]: string }): Promise<ActionRun> {
    const result = await runAction(action, inputs, { directory, workspace, env: lab.env });
    logs.push(result.log);
    return result;
  }
  const place = () => ({
    app: 'shop',
    'target-group': `${stack.name}-web`,
    'compose-file': 'compose.production.yaml',
  });
  const deploy = (version: string) =>
    run('deploy', { ...place(), 'ecr-repository': stack.name, 'build-args': `APP_VERSION=${version}` });
  const answer = async (path: string): Promise<unknown> => (await fetch(new URL(path, stack.url))).json();
  const on = (...args: string[]) => lab.exec(host, args).then((text) => text.trim());
  const containerOf = (service: string) =>
    on('docker', 'ps', '-q', '--no-trunc', '--filter', `label=com.docker.compose.service=${service}`);
  const stores = () => Promise.all([containerOf('postgres'), containerOf('redis')]);
  let first: ActionRun;
  let storesOfFirst: string[];

  test(
    'the first deploy is green, and its outputs, its report and its summary tell the same proof',
    async () => {
      first = await deploy('1');
      expect(first).toMatchObject({ code: 0, outputs: { outcome: 'succeeded', 'previous-release': '' } });
      const { release = '', image = '', 'image-digest': digest = '', targets = '', report = '' } = first.outputs;
      expect(release).toMatch(/^\d{8}-\d{6}-/);
      expect(digest).toMatch(DIGEST);
      expect(image).toBe(`${lab.registry}/${stack.name}@${digest}`);
      const [proof, ...others] = JSON.parse(targets) as { [key: string]: unknown }[];
      expect(others).toEqual([]);
      expect(proof).toMatchObject({ instance: host.id, port: 8080, outcome: 'proven', albState: 'healthy', digest });
      expect(JSON.parse(readFileSync(report, 'utf8'))).toMatchObject({
        ...{ app: 'shop', outcome: 'succeeded', release, image: { reference: image, digest } },
        targets: [{ containerId: proof?.containerId }],
      });
      expect(first.summary).toContain(`Release \`${release}\`, the first one`);
      expect(first.summary).toContain(`| ${host.id}:8080 | proven | healthy | ${proof?.containerId} |`);
      expect(await answer('/version')).toMatchObject({ version: '1' });
    },
    MILLISECONDS,
  );

  test('the configuration file that the compose file mounts is the one that redis runs with', async () => {
    const redis = await containerOf('redis');
    const value = await on('docker', 'exec', redis, 'redis-cli', 'CONFIG', 'GET', 'maxmemory-policy', 'maxmemory');
    expect(value.split(/\s+/).sort()).toEqual(['134217728', 'maxmemory', 'maxmemory-policy', 'noeviction']);
  });

  test(
    'the second version replaces the application alone: what was written before is still there',
    async () => {
      storesOfFirst = await stores();
      expect(storesOfFirst.every((id) => /^[0-9a-f]{64}$/.test(id))).toBe(true);
      expect(await answer('/visits')).toEqual({ visits: 1, rows: 1 });
      const api = await on('docker', 'ps', '-q', '--filter', 'publish=8080');
      const second = await deploy('2');
      expect(second).toMatchObject({
        code: 0,
        outputs: { outcome: 'succeeded', 'previous-release': first.outputs.release },
      });
      expect(second.outputs['image-digest']).not.toBe(first.outputs['image-digest']);
      expect(second.summary).toContain(`before it \`${first.outputs.release}\``);
      expect(await answer('/version')).toMatchObject({ version: '2' });
      expect(await on('docker', 'ps', '-q', '--filter', 'publish=8080')).not.toBe(api);
      expect(await stores()).toEqual(storesOfFirst);
      expect(await answer('/visits')).toEqual({ visits: 2, rows: 2 });
    },
    MILLISECONDS,
  );

  test(
    'build-push and rollout, the same as two steps, deploy the image that the first one names',
    async () => {
      const built = await run('build-push', { ...buildInputs(), 'build-args': 'APP_VERSION=3' });
      expect(built.code).toBe(0);
      const { image = '', images = '', 'image-digest': digest = '' } = built.outputs;
      expect(JSON.parse(images)).toEqual({ api: image });
      expect(image).toBe(`${lab.registry}/${stack.name}@${digest}`);
      expect(await answer('/version')).toMatchObject({ version: '2' });
      const rolled = await run('rollout', { ...place(), image });
      expect(rolled).toMatchObject({ code: 0, outputs: { outcome: 'succeeded', 'image-digest': digest } });
      expect(await answer('/version')).toMatchObject({ version: '3' });
      expect(await stores()).toEqual(storesOfFirst);
    },
    MILLISECONDS,
  );

  test(
    'the health gate alone believes what serves, and is red for a target that does not exist',
    async () => {
      const passed = await run('health-gate', { 'target-group': `${stack.name}-web`, 'stable-for': '10s' });
      expect(passed).toMatchObject({ code: 0, outputs: { verdict: 'passed' } });
      expect(JSON.parse(passed.outputs.targets ?? '')).toMatchObject([{ instance: host.id, outcome: 'proven' }]);
      const failed = await run('health-gate', { 'target-group': `${stack.name}-web`, targets: `${host.id}:9999` });
      expect(failed).toMatchObject({ code: 1, outputs: { verdict: 'failed' } });
    },
    MILLISECONDS,
  );

  test('no password is in a log but to be masked, and none is in a command to the host', () => {
    const masks = logs.flatMap((log) => [...log.matchAll(/^::add-mask::(.+)$/gm)].map(([, value = '']) => value));
    const ecrPasswords = masks.filter((value) => value.length > 1000);
    expect(ecrPasswords.length).toBeGreaterThanOrEqual(4);
    const shown = logs.map((log) => log.replaceAll(/^::add-mask::.+$/gm, '')).join('\n');
    const commands = calls.filter(({ operation }) => operation === 'SendCommand').map(({ input }) => textOf(input));
    expect(commands.length).toBeGreaterThan(10);
    expect(commands.filter((text) => text.includes('shop')).length).toBeGreaterThan(10);
    for (const secret of [PASSWORD, ...ecrPasswords]) {
      expect(shown.includes(secret)).toBe(false);
      expect(commands.some((text) => text.includes(secret))).toBe(false);
    }
  });

  const buildInputs = () => ({ 'ecr-repository': stack.name, 'compose-file': 'compose.production.yaml' });
});

/** A command as it was sent, and what its packed arguments say. */
function textOf(input: unknown): string {
  const text = JSON.stringify(input);
  const packed = [...text.matchAll(/arguments='([A-Za-z0-9+/=]+)'/g)].map(([, word = '']) => word);
  if (packed.length === 0) throw new Error('A command without arguments was sent.');
  return [text, ...packed.map((word) => gunzipSync(Buffer.from(word, 'base64')).toString())].join('\n');
}
