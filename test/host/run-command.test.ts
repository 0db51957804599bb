import { SSMClient } from '@aws-sdk/client-ssm';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { LabClock } from '../../lab/model/clock.js';
import { Instances } from '../../lab/model/instances.js';
import { createRunCommand as createLabRunCommand } from '../../lab/services/run-command/run-command.js';
import { type Input, type Operation, ServiceError } from '../../lab/wire/service.js';
import { createRunCommand } from '../../src/aws/ssm-run-command.js';
import type { Clock } from '../../src/clock.js';
import { ProblemsError } from '../../src/problem.js';
import { type Ending, fakeHub } from '../agent/fake-hub.js';
import { instanceAt } from '../agent/host.js';
import { ACCOUNT, REGION, ssmService, startLocalAws } from '../wire/local-aws.js';

/** Time that passes only while somebody sleeps, and then at once. */
class SleepingClock implements Clock, LabClock {
  #now = Date.parse('2026-11-22T15:30:00Z');
  #due: { readonly at: number; readonly call: () => void }[] = [];
  now = () => this.#now;

  after(milliseconds: number, call: () => void): () => void {
    const entry = { at: this.#now + milliseconds, call };
    this.#due.push(entry);
    return () => {
      this.#due = this.#due.filter((other) => other !== entry);
    };
  }

  async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.#now += milliseconds;
    for (const { at, call } of this.#due.filter(({ at: due }) => due <= this.#now).sort((a, b) => a.at - b.at)) {
      this.#due = this.#due.filter((entry) => entry.at !== at || entry.call !== call);
      call();
    }
  }
}

const running: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const server of running.splice(0)) await server.close();
});

type Agent = (instance: string) => Ending | 'silent';
const says = (stdout: string, code = 0, stderr = ''): Ending => ({ code, stdout, stderr });
const instanceId = (number: number) => `i-${String(number).padStart(17, '0')}`;

/** The real SDK client, the wire, and the lab's Run Command, with agents that answer a second after they are asked. */
async function fleet(hosts: number, agent: Agent = () => says('done\n')) {
  const clock = new SleepingClock();
  const base = fakeHub(clock);
  const instances = new Instances();
  const ids = Array.from({ length: hosts }, (_, index) => instanceId(index + 1));
  for (const id of ids) instances.add(instanceAt('10.0.0.10', id));
  const deliver: typeof base.deliver = (id, message) => {
    base.deliver(id, message);
    const ending = message.kind === 'run' ? agent(id) : 'silent';
    if (ending !== 'silent') clock.after(1000, () => base.finish(id, base.take(id), ending));
  };
  const operations = createLabRunCommand({
    hub: { ...base, deliver },
    instances,
    clock,
    region: REGION,
    account: ACCOUNT,
    visibilityDelayMs: 1500,
  });
  const calls: { readonly name: string; readonly input: Input }[] = [];
  const faults = new Map<string, ServiceError[]>();
  const recorded = Object.entries(operations).map(([name, operation]): [string, Operation] => [
    name,
    (input, context) => {
      calls.push({ name, input });
      const fault = faults.get(name)?.shift();
      if (fault) throw fault;
      return operation(input, context);
    },
  ]);
  const server = await startLocalAws([ssmService(Object.fromEntries(recorded))]);
  const client = new SSMClient(server.client);
  const close = () => {
    client.destroy();
    return server.close();
  };
  running.push({ close });
  const runCommand = createRunCommand({ client, clock });
  const run = (wanted: readonly string[], signal?: AbortSignal) =>
    runCommand.run({
      hosts: wanted,
      script: '#!/bin/bash\necho done\n',
      comment: 'a test',
      executionTimeoutSeconds: 600,
      ...(signal ? { signal } : {}),
    });
  const called = (name: string) => calls.filter((call) => call.name === name).map(({ input }) => input);
  return { clock, base, instances, ids, run, called, runCommand, faults };
}

const throttled = () => new ServiceError('ThrottlingException', 'Rate exceeded');

async function problemsOf(work: Promise<unknown>) {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ProblemsError)) throw new Error(`No problems: ${error}`);
  return error.problems;
}

describe('a script on many hosts', () => {
  test('reaches 120 hosts in calls of 50 and answers in the order asked for, without a call a host', async () => {
    const { ids, run, called } = await fleet(120, (id) => says(`hello from ${id}\n`));
    const wanted = [...ids].reverse();
    const results = await run(wanted);
    expect(results.map(({ instance }) => instance)).toEqual(wanted);
    expect(results[0]).toMatchObject({ status: 'Success', details: 'Success', exitCode: 0, stderr: '' });
    expect(results.every(({ instance, stdout }) => stdout === `hello from ${instance}\n`)).toBe(true);
    expect(called('SendCommand').map(({ InstanceIds }) => (InstanceIds as string[]).length)).toEqual([50, 50, 20]);
    expect(called('GetCommandInvocation')).toEqual([]);
  });

  test('is sent whole, stops at no error of one host, and may run as long as it was given', async () => {
    const { ids, run, called } = await fleet(1);
    await run(ids);
    expect(called('SendCommand')).toMatchObject([
      {
        DocumentName: 'AWS-RunShellScript',
        MaxErrors: '100%',
        MaxConcurrency: '100%',
        Parameters: { commands: ['#!/bin/bash\necho done\n'], executionTimeout: ['600'] },
      },
    ]);
  });

  test('that fails on one host is read whole there, and only there', async () => {
    const { ids, run, called } = await fleet(3, (id) =>
      id === instanceId(2) ? says('@@report {}\n', 1, 'e'.repeat(3000)) : says('fine\n'),
    );
    const results = await run(ids);
    expect(results.map(({ status }) => status)).toEqual(['Success', 'Failed', 'Success']);
    expect(results[1]).toMatchObject({ exitCode: 1, stdout: '@@report {}\n', stderr: 'e'.repeat(3000) });
    expect(called('GetCommandInvocation').map(({ InstanceId }) => InstanceId)).toEqual([instanceId(2)]);
  });

  test('that prints more than the list shows is read whole', async () => {
    const { ids, run } = await fleet(1, () => says(`${'x'.repeat(5000)}\n@@report {}\n`));
    expect((await run(ids))[0]?.stdout).toMatch(/x\n@@report \{\}\n$/);
  });
});

describe('a host that does not answer', () => {
  test('ends as Undeliverable when its time is over, while the others have their results', async () => {
    const { clock, ids, run } = await fleet(3, (id) => (id === instanceId(3) ? 'silent' : says('fine\n')));
    const begin = clock.now();
    const results = await run(ids);
    expect(results.map(({ status, details }) => [status, details])).toEqual([
      ['Success', 'Success'],
      ['Success', 'Success'],
      ['Undeliverable', 'DeliveryTimedOut'],
    ]);
    expect(clock.now() - begin).toBeLessThan(800_000);
  });

  test('is given up early, and its command cancelled, while SSM itself still tries to reach it', async () => {
    const { clock, base, ids, run, called } = await fleet(2, (id) =>
      id === instanceId(2) ? 'silent' : says('fine\n'),
    );
    base.disconnect(instanceId(2));
    const begin = clock.now();
    expect((await run(ids))[1]).toMatchObject({ status: 'Undeliverable', details: 'NoAnswer' });
    expect(called('CancelCommand')).toMatchObject([{ InstanceIds: [instanceId(2)] }]);
    expect(clock.now() - begin).toBeLessThan(200_000);
  });

  test('that SSM does not manage does not keep the script from the others', async () => {
    const { ids, run, instances } = await fleet(4);
    instances.setState(instanceId(2), 'stopped');
    const results = await run([...ids, instanceId(99)]);
    expect(results.map(({ details }) => details)).toEqual([
      'Success',
      'NotManaged',
      'Success',
      'Success',
      'NotManaged',
    ]);
  });
});

describe('SSM having a bad day', () => {
  test('throttles, and the results come all the same', async () => {
    const { ids, run, faults } = await fleet(2);
    faults.set('SendCommand', [throttled(), throttled()]);
    faults.set('ListCommandInvocations', [throttled(), new ServiceError('InternalServerError', 'x', { status: 500 })]);
    expect((await run(ids)).map(({ status }) => status)).toEqual(['Success', 'Success']);
  });

  test('refuses for want of a permission, which is named', async () => {
    const { ids, run, faults } = await fleet(60);
    const sentence = 'User: x is not authorized to perform: ssm:SendCommand on resource: y';
    faults.set('SendCommand', [new ServiceError('AccessDeniedException', sentence)]);
    expect(await problemsOf(run(ids))).toMatchObject([
      { code: 'AWS_ACCESS_DENIED', message: 'The role of this job may not call ssm:SendCommand.' },
    ]);
  });

  test('does not have the document', async () => {
    const { ids, run, faults } = await fleet(1);
    faults.set('SendCommand', [new ServiceError('InvalidDocument', '', { member: 'Message' })]);
    expect(await problemsOf(run(ids))).toMatchObject([{ code: 'SSM_DOCUMENT_INVALID' }]);
  });
});

test('a cancelled deploy cancels what it runs on the hosts', async () => {
  const stop = new AbortController();
  const reason = new Error('the job was cancelled');
  const { ids, run, called } = await fleet(2, (id) => {
    if (id === instanceId(2)) stop.abort(reason);
    return 'silent';
  });
  await expect(run(ids, stop.signal)).rejects.toBe(reason);
  expect(called('CancelCommand')).toMatchObject([{ InstanceIds: ids }]);
  await expect(run(ids, stop.signal)).rejects.toBe(reason);
  expect(called('SendCommand')).toHaveLength(1);
});

test('the hosts that SSM manages are told with what runs on them; others are absent', async () => {
  const { base, ids, runCommand } = await fleet(60);
  base.disconnect(instanceId(7));
  const managed = await runCommand.managed([...ids, instanceId(99)]);
  expect(managed).toHaveLength(60);
  expect(managed.find(({ instance }) => instance === instanceId(1))).toEqual({
    instance: instanceId(1),
    ping: 'Online',
    platform: 'Debian GNU/Linux 13',
    agentVersion: '3.3.0.0',
  });
  expect(managed.filter(({ ping }) => ping !== 'Online').map(({ instance }) => instance)).toEqual([instanceId(7)]);
});
