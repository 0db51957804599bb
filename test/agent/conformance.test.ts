import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type AgentCase, cases, commandsOf, driven, leftOut, parametersOf, refusedByService } from './cases.js';
import { expectAsObserved, expectPlugin, expectServiceAnswers } from './expectations.js';
import { startTestHost, type TestHost } from './host.js';
import { Bench, type Ran, runAll } from './run.js';

/**
 * 279 cases of the real amazon-ssm-agent 3.3.0.0, run on a lab's host. The agent's replies must be the observed ones to
 * the byte; what the service answers must be those replies by the rules of expectations.ts.
 */
const START_MILLISECONDS = 60_000;
const SUITE_MILLISECONDS = 300_000;
const TEST_MILLISECONDS = 60_000;
/** The agent's own limit: more would wait in its queue. */
const AT_ONCE = 5;
const REBOOT_SECONDS = 2;

let host: TestHost;
let bench: Bench;

beforeAll(async () => {
  host = await startTestHost({ rebootSeconds: REBOOT_SECONDS, parameters: { greeting: 'hello' } });
  bench = new Bench(host);
}, START_MILLISECONDS);

afterAll(async () => host?.stop());

function caseOf(name: string): AgentCase {
  const found = cases.find((one) => one.name === name && one.shell === 'dash');
  if (!found) throw new Error(`There is no case ${name}.`);
  return found;
}

test('every observed case is run, or left out with a reason', () => {
  const run = cases.filter(({ name }) => !leftOut.has(name));
  console.info(`${cases.length} cases, ${run.length} run; left out: ${[...leftOut.keys()].join(', ')}`);
  expect(cases).toHaveLength(279);
  expect(run).toHaveLength(269);
  const names = new Set(cases.map(({ name }) => name));
  expect([...leftOut.keys(), ...driven, ...refusedByService.keys()].filter((name) => !names.has(name))).toEqual([]);
});

for (const shell of ['dash', 'bash'] as const) {
  const single = cases.filter((one) => one.shell === shell && !leftOut.has(one.name) && !driven.has(one.name));

  describe(`where /bin/sh is ${shell}`, () => {
    let outcomes = new Map<string, Ran>();

    beforeAll(async () => {
      await host.useShell(shell);
      outcomes = await runAll(bench, single, AT_ONCE);
    }, SUITE_MILLISECONDS);

    test.each(single.map((one) => [one.name, one] as const))('%s', (name, one) => {
      const ran = outcomes.get(name);
      if (!ran) throw new Error(`Case ${name} did not run.`);
      expectAsObserved(one, ran);
    });
  });
}

describe('what the service refuses, though the agent would take it', () => {
  test.each([...refusedByService])('%s: %s', async (name, code) => {
    const parameters = Object.entries(parametersOf(caseOf(name)));
    const lists = parameters.map(([key, value]) => [key, key === 'commands' || Array.isArray(value) ? value : [value]]);
    const request = {
      DocumentName: 'AWS-RunShellScript',
      InstanceIds: [host.instanceId],
      Parameters: Object.fromEntries(lists),
    };
    await expect(bench.call('SendCommand', request)).rejects.toMatchObject({ code });
  });
});

describe('several commands, cancelling, restarts', () => {
  beforeAll(() => host.useShell('dash'));

  test.each([
    ['cancel-running', 'sleep 713'],
    ['cancel-running-trap', 'sleep 714'],
  ])(
    '%s',
    async (name, sleep) => {
      const one = caseOf(name);
      const commandId = await bench.send(parametersOf(one));
      await bench.running(sleep);
      await bench.call('CancelCommand', { CommandId: commandId });
      const final = await bench.end(commandId);
      const ran = { commandId, final, replies: [], sequence: bench.sequence(final.messageId) };
      const service = await bench.answers(commandId);
      await new Promise((resolve) => setTimeout(resolve, 700));
      expectAsObserved(
        { ...one, expect: { ...one.expect, execSeconds: 0 } },
        {
          ...ran,
          service,
          processes: await bench.processes(),
        },
      );
    },
    TEST_MILLISECONDS,
  );

  test('a cancel message is acknowledged; for a finished command nothing more is said', async () => {
    const one = caseOf('cancel-after-completion');
    const commandId = await bench.send(parametersOf(one));
    expectPlugin(one, await bench.plugin(commandId));
    const before = bench.replies(commandId).length;
    const messageId = bench.deliver({ kind: 'cancel', commandId });
    await bench.end(await bench.send({ commands: ['true'] }));
    expect(bench.replies(commandId).length - before).toBe(one.expect.newRepliesAfterCancel);
    const observed = caseOf('cancel-running').expect.cancelMessageReplies ?? [];
    expect(bench.sequence(messageId)).toEqual(observed.map(([kind, status]) => status ?? kind));
  });

  test(
    'two-at-once: they overlap',
    async () => {
      const [first, second] = commandsOf(caseOf('two-at-once')) as [string[], string[]];
      const ids = [await bench.send({ commands: first }), await bench.send({ commands: second })];
      const results = await Promise.all(ids.map((id) => bench.plugin(id)));
      expect(results.map(({ status, code }) => ({ status, code }))).toEqual([
        { status: 'Success', code: 0 },
        { status: 'Success', code: 0 },
      ]);
      const times = results.map(({ standardOutput }) => standardOutput.trim().split('\n').map(Number));
      const [[start1 = 0, end1 = 0] = [], [start2 = 0, end2 = 0] = []] = times;
      expect(Math.max(start1, start2)).toBeLessThan(Math.min(end1, end2));
    },
    TEST_MILLISECONDS,
  );

  test(
    'seven-at-once-sleep-3: five run, two wait',
    async () => {
      const one = caseOf('seven-at-once-sleep-3');
      const ids = await Promise.all(Array.from({ length: 7 }, () => bench.send(parametersOf(one))));
      const results = await Promise.all(ids.map((id) => bench.plugin(id)));
      const starts = results.map(({ startDateTime }) => Date.parse(startDateTime)).sort((a, b) => a - b);
      const firstEnd = Math.min(...results.map(({ endDateTime }) => Date.parse(endDateTime)));
      expect(starts.map((start) => start >= firstEnd)).toEqual([false, false, false, false, false, true, true]);
    },
    TEST_MILLISECONDS,
  );

  test(
    'cancel-while-queued: the script never runs, the agent says nothing more',
    async () => {
      const one = caseOf('cancel-while-queued');
      await host.exec(['rm', '-f', '/var/tmp/ran']);
      const busy = await Promise.all(Array.from({ length: 5 }, () => bench.send({ commands: ['sleep 4'] })));
      await bench.running('sleep 4');
      const queued = await bench.send(parametersOf(one));
      await bench.until(() => bench.sequence(bench.replies(queued)[0]?.messageId ?? '')[1]);
      await bench.call('CancelCommand', { CommandId: queued });
      await Promise.all(busy.map((id) => bench.end(id)));
      // Its turn would have come before this one's.
      await bench.end(await bench.send({ commands: ['true'] }));
      const messageId = bench.replies(queued)[0]?.messageId ?? '';
      expect(bench.sequence(messageId)).toEqual(one.expect.replies);
      expect(await host.exec(['ls', '/var/tmp'])).not.toContain('ran');
      expect((await bench.answers(queued)).invocation).toMatchObject({ Status: 'Cancelling', ResponseCode: -1 });
    },
    TEST_MILLISECONDS,
  );

  test(
    'agent-service-restarted-while-running: the script goes on and its result arrives',
    async () => {
      const one = caseOf('agent-service-restarted-while-running');
      const commandId = await bench.send(parametersOf(one));
      await bench.running('sleep 12');
      await host.restartAgent();
      const final = await bench.end(commandId);
      const sequence = bench.sequence(final.messageId);
      const service = await bench.answers(commandId);
      expectAsObserved(one, { commandId, final, replies: [], sequence, service, processes: [] });
    },
    TEST_MILLISECONDS,
  );

  // The reboot is played: `shutdown -r +1` is not called, and only the pause and the second run are real.
  test(
    'exit-194-twice-then-0: the script runs again after each reboot, its output accumulates',
    async () => {
      const one = caseOf('exit-194-twice-then-0');
      await host.exec(['rm', '-f', '/var/tmp/rb']);
      const commandId = await bench.send(parametersOf(one));
      await bench.until(() =>
        bench.replies(commandId).find(({ documentStatus }) => documentStatus === 'SuccessAndReboot'),
      );
      const other = await bench.send({ commands: ['date +%s.%N'] });
      await bench.until(() => bench.sequence(bench.replies(other)[0]?.messageId ?? '')[1]);
      expect(bench.replies(commandId)).toHaveLength(3);
      expect((await bench.answers(commandId)).invocation).toMatchObject({ Status: 'InProgress', ResponseCode: -1 });
      const final = await bench.end(commandId);
      const observed = (one.expect.repliesInOrder ?? []).map(({ afterRestart: _, output: __, ...reply }) => reply);
      const replies = bench.replies(commandId).map(({ documentStatus, plugin }) => ({
        documentStatus,
        ...(plugin ? { status: plugin.status, code: plugin.code } : {}),
        ...(plugin ? { stdout: plugin.standardOutput, stderr: plugin.standardError } : {}),
      }));
      expect(replies).toEqual(observed);
      expect(final.plugin?.output).toBe(one.expect.repliesInOrder?.at(-1)?.output);
      expectServiceAnswers(
        { commandId, final, replies: [], sequence: [], processes: [] },
        await bench.answers(commandId),
      );
      const firstEnd = bench.replies(commandId).find(({ plugin }) => plugin)?.plugin?.endDateTime ?? '';
      const { status, startDateTime } = await bench.plugin(other);
      expect(status).toBe('Success');
      expect(Date.parse(startDateTime) - Date.parse(firstEnd)).toBeGreaterThanOrEqual(REBOOT_SECONDS * 1000);
    },
    TEST_MILLISECONDS,
  );
});

test('{{ssm:NAME}} that Parameter Store knows is replaced before the script runs', async () => {
  const { standardOutput } = await bench.plugin(
    await bench.send({ commands: ["echo '{{ ssm:greeting }}, {{.State}}'"] }),
  );
  expect(standardOutput).toBe('hello, {{.State}}\n');
});
