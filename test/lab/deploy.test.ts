import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startLoad } from '../../lab/load.js';
import { LAB_TEST_MILLISECONDS, startTestLab, type TestLab } from './harness.js';

/** Deploys one after the other on the same two hosts, as a user would. */
describe('two hosts behind a load balancer', () => {
  let on: TestLab;
  beforeAll(async () => {
    on = await startTestLab({ hosts: 2 });
  }, LAB_TEST_MILLISECONDS);
  afterAll(() => on?.end(), LAB_TEST_MILLISECONDS);

  const build = (args: { [name: string]: string }) => ({
    build: { args, secrets: {}, target: undefined, platforms: [], cache: 'auto' as const },
  });
  const cacheContainers = () =>
    Promise.all(
      on.lab.hosts.map((host) =>
        on.lab.exec(host, ['docker', 'ps', '-q', '--filter', 'label=ec2-compose-deploy.service=cache']),
      ),
    );

  test(
    'the first deploy starts everything, and its proof names the digest that runs on every host',
    async () => {
      const result = await on.deploy(build({ VERSION: '1' }));
      expect(result.problems).toEqual([]);
      expect(result).toMatchObject({ outcome: 'succeeded', problems: [] });
      expect(await on.versions()).toEqual(['1', '1']);
      expect(result.targets).toHaveLength(2);
      for (const target of result.targets) {
        expect(target).toMatchObject({
          outcome: 'proven',
          albState: 'healthy',
          digest: result.image?.digest,
          restarts: 0,
        });
        expect(target.healthySince).toBeGreaterThan(target.change.at);
      }
      expect((await cacheContainers()).every((id) => id.trim() !== '')).toBe(true);
    },
    LAB_TEST_MILLISECONDS,
  );

  test(
    'a second version rolls over the first without losing a request, and leaves the cache alone',
    async () => {
      const before = await cacheContainers();
      const load = startLoad({ url: on.stack.url, path: '/', requestsPerSecond: 50, keepAlive: true });
      const result = await on.deploy(build({ VERSION: '2' }));
      const { requests, lost, failures } = await load.stop();
      expect(result).toMatchObject({ outcome: 'succeeded', problems: [] });
      expect(on.said.join('\n')).toContain('Strategy rolling');
      expect(await on.versions()).toEqual(['2', '2']);
      expect({ lost, failures }).toEqual({ lost: 0, failures: {} });
      expect(requests).toBeGreaterThan(500);
      expect(await cacheContainers()).toEqual(before);
    },
    LAB_TEST_MILLISECONDS,
  );

  test(
    'the same version again changes nothing, and says so',
    async () => {
      on.said.length = 0;
      const rolled = ['docker', 'ps', '-q', '--filter', 'label=ec2-compose-deploy.role=rolled'];
      const containers = () => Promise.all(on.lab.hosts.map((host) => on.lab.exec(host, rolled)));
      const before = await containers();
      const result = await on.deploy(build({ VERSION: '2' }));
      expect(result.outcome).toBe('unchanged');
      expect(result.release).toBe(result.previousRelease);
      expect(on.said.join('\n')).toContain('serves the same images, models and files already');
      expect(await containers()).toEqual(before);
    },
    LAB_TEST_MILLISECONDS,
  );

  test(
    'a version that answers 500 on its health path is refused, and the host that had it is back on the version before',
    async () => {
      const result = await on.deploy({ ...build({ VERSION: '3', MODE: 'error' }), healthTimeoutSeconds: 40 });
      expect(result.outcome).toBe('rolled-back');
      expect(result.problems.map(({ code }) => code)).toEqual(['TARGET_CODE_MISMATCH']);
      expect(result.problems[0]?.message).toContain('[500]');
      expect(await on.versions()).toEqual(['2', '2']);
      expect(on.lab.loadBalancer.targetHealth(on.stack.targetGroup).map(({ State }) => State)).toEqual([
        'healthy',
        'healthy',
      ]);
    },
    LAB_TEST_MILLISECONDS,
  );

  test(
    'a version that ends before it listens is told by the host, long before the time for a target is over',
    async () => {
      const result = await on.deploy({ ...build({ VERSION: '4', MODE: 'exit' }), healthTimeoutSeconds: 300 });
      expect(result.outcome).toBe('rolled-back');
      expect(result.problems[0]?.code).toMatch(/^CONTAINER_/);
      expect(result.durationSeconds).toBeLessThan(300);
      expect(await on.versions()).toEqual(['2', '2']);
    },
    LAB_TEST_MILLISECONDS,
  );

  test(
    'a version that is healthy at first and crashes three seconds later is never called a success',
    async () => {
      const result = await on.deploy({ ...build({ VERSION: '5', MODE: 'crash' }), healthTimeoutSeconds: 120 });
      expect(result.outcome).toBe('rolled-back');
      expect(await on.versions()).toEqual(['2', '2']);
    },
    LAB_TEST_MILLISECONDS,
  );

  test(
    'a dry run says what it would do and changes nothing',
    async () => {
      on.said.length = 0;
      const result = await on.deploy({ ...build({ VERSION: '6' }), dryRun: true });
      expect(result).toMatchObject({ outcome: 'unchanged', release: undefined });
      expect(on.said.join('\n')).toContain('Wave 2 of 2');
      expect(await on.versions()).toEqual(['2', '2']);
    },
    LAB_TEST_MILLISECONDS,
  );
});

describe('one host', () => {
  let on: TestLab;
  beforeAll(async () => {
    on = await startTestLab({ hosts: 1 });
  }, LAB_TEST_MILLISECONDS);
  afterAll(() => on?.end(), LAB_TEST_MILLISECONDS);

  test(
    'a first deploy that fails leaves the host as it was found, and says that there was nothing to go back to',
    async () => {
      const result = await on.deploy({
        build: { args: { MODE: 'error' }, secrets: {}, target: undefined, platforms: [], cache: 'auto' },
        healthTimeoutSeconds: 40,
      });
      expect(result.outcome).toBe('rolled-back');
      expect(on.said.join('\n')).toContain('nothing to go back to');
      expect(await on.versions()).toEqual([undefined]);
      const [host] = on.lab.hosts;
      const containers =
        host && (await on.lab.exec(host, ['docker', 'ps', '-q', '--filter', 'label=ec2-compose-deploy.role=rolled']));
      expect(containers?.trim()).toBe('');
    },
    LAB_TEST_MILLISECONDS,
  );

  test(
    'is replaced where it stands, and believed only after the observation window',
    async () => {
      const settings = { secrets: {}, target: undefined, platforms: [], cache: 'auto' as const };
      expect((await on.deploy({ build: { ...settings, args: { VERSION: '1' } } })).outcome).toBe('succeeded');
      const second = await on.deploy({ build: { ...settings, args: { VERSION: '2' } } });
      expect(second).toMatchObject({ outcome: 'succeeded', problems: [] });
      expect(on.said.join('\n')).toContain('Strategy recreate');
      expect(await on.versions()).toEqual(['2']);
      const [proof] = second.targets;
      const windowMilliseconds = (2 * 5 + 4) * 1000;
      expect((proof?.healthySince ?? 0) - (proof?.change.at ?? 0)).toBeGreaterThanOrEqual(windowMilliseconds);
    },
    LAB_TEST_MILLISECONDS,
  );
});
