import { describe, expect, test } from '@jest/globals';
import type { HostCommand, HostResult, RunCommand } from '../../src/aws/run-command.js';
import { systemClock } from '../../src/clock.js';
import { clusterProblems, createHosts, toOutcome } from '../../src/host/hosts.js';
import type { HostReport } from '../../src/host/report.js';
import type { Log } from '../../src/log.js';
import type { Problem } from '../../src/problem.js';

const shop = { app: 'shop', environment: 'production', project: 'shop' };

function report(changes: Partial<HostReport> = {}): string {
  const whole: HostReport = {
    v: 1,
    verb: 'status',
    ok: true,
    release: '',
    at: 1_795_369_639,
    problems: [],
    current: 'r1',
    containers: [],
    pinned: [],
    facts: {},
    ...changes,
  };
  return `@@report ${JSON.stringify(whole)}\n`;
}

function result(changes: Partial<HostResult> = {}): HostResult {
  const success = { status: 'Success', details: 'Success', exitCode: 0, stdout: report(), stderr: '' };
  return { instance: 'i-1', ...success, ...changes };
}

const quiet: Log = { info: () => {}, warning: () => {}, debug: () => {}, group: (_title, work) => work() };

/** SSM as an actor plays it: it keeps what it was asked for, and answers with the lines of its part. */
function played(...results: HostResult[]) {
  const commands: HostCommand[] = [];
  const run = async (command: HostCommand) => {
    commands.push(command);
    return results;
  };
  const runCommand: RunCommand = { run, managed: async () => [] };
  return { commands, hosts: createHosts({ runCommand, clock: systemClock, log: quiet }) };
}

describe('a verb on the hosts', () => {
  test('is one command for all of them, and one outcome each', async () => {
    const { hosts, commands } = played(result(), result({ instance: 'i-2' }));
    const outcomes = await hosts.status(['i-1', 'i-2'], shop);
    expect(outcomes).toMatchObject([
      { instance: 'i-1', problems: [], report: { verb: 'status', current: 'r1' } },
      { instance: 'i-2', problems: [] },
    ]);
    expect(commands).toMatchObject([{ hosts: ['i-1', 'i-2'], comment: 'ec2-compose-deploy: status shop/production' }]);
    expect(commands[0]?.script).toMatch(/^#!\/bin\/bash\n/);
  });

  test('on no host asks nobody', async () => {
    const { hosts, commands } = played();
    expect(await hosts.status([], shop)).toEqual([]);
    expect(commands).toEqual([]);
  });

  test('passes on what the host found, with its name', () => {
    const problems = [
      { code: 'HOST_PORT_TAKEN', message: 'Port 9080 is held.', where: 'api' },
      { code: 'HOST_DISK_FULL', message: 'Full.' },
    ];
    const failed = result({ status: 'Failed', exitCode: 1, stdout: report({ ok: false, problems }) });
    expect(toOutcome('status', failed).problems).toMatchObject([{ where: 'i-1 api' }, { where: 'i-1' }]);
  });
});

describe('a host without a report', () => {
  const codeOf = (changes: Partial<HostResult>) => toOutcome('swap', result({ stdout: '', ...changes })).problems[0];

  test.each([
    ['HOST_UNREACHABLE', { status: 'Undeliverable', details: 'NoAnswer', exitCode: -1 }],
    ['HOST_UNREACHABLE', { status: 'Undeliverable', details: 'DeliveryTimedOut', exitCode: -1 }],
    ['HOST_NOT_MANAGED', { status: 'Undeliverable', details: 'NotManaged', exitCode: -1 }],
    ['AWS_ACCESS_DENIED', { status: 'Undeliverable', details: 'AccessDenied', exitCode: -1 }],
    ['HOST_TIMED_OUT', { status: 'TimedOut', details: 'ExecutionTimedOut', exitCode: 137 }],
    ['HOST_NO_REPORT', { status: 'Failed', details: 'Failed', exitCode: 127, stderr: 'gzip: command not found' }],
    ['HOST_NO_REPORT', { stdout: '@@report {"v":1,"verb":"sw' }],
    ['HOST_NO_REPORT', { stdout: report({ verb: 'prepare' }) }],
    ['HOST_NO_REPORT', { stdout: report({ verb: 'swap' }), status: 'Failed', details: 'Failed', exitCode: 1 }],
  ])('is %s: %j', (code, changes) => {
    expect(codeOf(changes)).toMatchObject({ code, where: 'i-1' });
  });

  test('shows the last words it had', () => {
    const problem = codeOf({ status: 'Failed', details: 'Failed', exitCode: 127, stderr: 'gzip: command not found\n' });
    expect(problem).toMatchObject({ cause: 'gzip: command not found' });
    expect(problem?.message).toBe('The swap command ended as Failed, exit code 127, without a report.');
  });
});

describe('the same problem on many hosts', () => {
  const full = (instance: string, free: number): { instance: string; problems: Problem[] } => ({
    instance,
    problems: [{ code: 'HOST_DISK_FULL', message: `${free} MB free; a deploy wants 2000 MB.`, where: instance }],
  });

  test('is told once, with how many and which', () => {
    const outcomes = Array.from({ length: 37 }, (_, index) => full(`i-${index}`, 100 + index));
    const [only, ...others] = clusterProblems(outcomes);
    expect(others).toEqual([]);
    expect(only).toMatchObject({
      message: '100 MB free; a deploy wants 2000 MB.',
      where: '37 hosts (i-0, i-1 and 35 more)',
    });
  });

  test('stays apart from another one, the most frequent first', () => {
    const port = { code: 'HOST_PORT_TAKEN', message: 'Port 9080 is held.', where: 'i-3 api' };
    const clustered = clusterProblems([{ instance: 'i-3', problems: [port] }, full('i-1', 1), full('i-2', 2)]);
    expect(clustered.map(({ where }) => where)).toEqual(['2 hosts (i-1, i-2)', 'i-3 api']);
  });

  test('of different services stays apart', () => {
    const exited = (instance: string, service: string) => ({
      instance,
      problems: [{ code: 'CONTAINER_EXITED', message: 'It exited.', where: `${instance} ${service}` }],
    });
    const clustered = clusterProblems([exited('i-1', 'api'), exited('i-2', 'api'), exited('i-1', 'worker')]);
    expect(clustered.map(({ where }) => where)).toEqual(['2 hosts (i-1, i-2) api', 'i-1 worker']);
  });
});
