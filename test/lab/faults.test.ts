import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { vanish } from '../../lab/control.js';
import type { LabHost } from '../../lab/hosts/host.js';
import { LAB_TEST_MILLISECONDS, startTestLab, type TestLab } from './harness.js';

/** What goes wrong around a deploy, on two hosts that serve version 1. */
describe('two hosts, and something that goes wrong meanwhile', () => {
  let on: TestLab;
  let first: LabHost;
  let second: LabHost;

  beforeAll(async () => {
    on = await startTestLab({ hosts: 2 });
    [first, second] = on.lab.hosts as [LabHost, LabHost];
    expect((await on.deploy(build('1'))).outcome).toBe('succeeded');
  }, LAB_TEST_MILLISECONDS);
  afterAll(() => on?.end(), LAB_TEST_MILLISECONDS);

  const build = (version: string) => ({
    build: { args: { VERSION: version }, secrets: {}, target: undefined, platforms: [], cache: 'auto' as const },
  });
  const registered = () => on.lab.loadBalancer.targetHealth(on.stack.targetGroup);
  const states = () => registered().map(({ State }) => State);

  /** Resolves when the deploy says the words; every line passes through the list that the harness keeps. */
  function saying(words: RegExp): Promise<string> {
    on.said.length = 0;
    return new Promise((resolve) => {
      const push = on.said.push.bind(on.said);
      on.said.push = (...lines) => {
        const found = lines.find((line) => words.test(line));
        if (found) {
          on.said.push = push;
          resolve(found);
        }
        return push(...lines);
      };
    });
  }

  test(
    'a run that is cancelled while a host drains ends as cancelled, with every target registered again',
    async () => {
      const cancel = new AbortController();
      const draining = saying(/draining for/);
      const running = on.deploy(build('2'), cancel.signal);
      await draining;
      expect(states().sort()).toEqual(['draining', 'healthy']);
      cancel.abort(new Error('The run was cancelled (SIGINT).'));
      const result = await running;
      expect(result).toMatchObject({ outcome: 'cancelled', problems: [{ code: 'CANCELLED' }] });
      expect(states()).toHaveLength(2);
      expect(states()).not.toContain('draining');
      expect(await on.versions()).toEqual(['1', '1']);
    },
    LAB_TEST_MILLISECONDS,
  );

  test(
    'the next run goes on from there',
    async () => {
      expect(await on.deploy(build('3'))).toMatchObject({ outcome: 'succeeded', problems: [] });
      expect(await on.versions()).toEqual(['3', '3']);
    },
    LAB_TEST_MILLISECONDS,
  );

  test(
    'a host that vanishes after it was changed is named, and the other one serves what it served',
    async () => {
      const replaced = saying(/containers replaced/);
      const running = on.deploy({ ...build('4'), healthTimeoutSeconds: 60 });
      const changed = (await replaced).startsWith(first.id) ? first : second;
      const other = changed === first ? second : first;
      const comeBack = await vanish(on.lab, changed);
      const result = await running;
      expect(result.outcome).toBe('rollback-failed');
      expect(JSON.stringify(result.problems)).toContain(changed.id);
      expect(JSON.stringify(result.problems)).not.toContain(other.id);
      expect(states().length).toBe(2);
      const serving = await on.versions();
      expect(serving[on.lab.hosts.indexOf(other)]).toBe('3');
      await comeBack();
    },
    LAB_TEST_MILLISECONDS,
  );

  test(
    'an agent that hangs is found out before anything is built',
    async () => {
      on.lab.hub.hang(second.id);
      const result = await on.deploy(build('5'));
      on.lab.hub.unhang(second.id);
      expect(result).toMatchObject({ outcome: 'rejected', release: undefined });
      expect(result.problems).toMatchObject([{ code: 'HOST_UNREACHABLE', where: second.id }]);
      // 120 s for SSM to deliver, 60 s that a preflight may take, 30 s of grace, and one poll.
      expect(result.durationSeconds).toBeLessThan(120 + 60 + 30 + 16);
    },
    LAB_TEST_MILLISECONDS,
  );
});
