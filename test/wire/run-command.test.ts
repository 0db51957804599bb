import { describe, expect, test } from '@jest/globals';
import { Instances } from '../../lab/model/instances.js';
import { createRunCommand, type SentScript } from '../../lab/services/run-command/run-command.js';
import { elapsed } from '../../lab/services/run-command/views.js';
import type { CallContext } from '../../lab/wire/service.js';
import { fakeHub } from '../agent/fake-hub.js';
import { instanceAt } from '../agent/host.js';
import { manualClock } from '../agent/manual-clock.js';

const context: CallContext = {
  region: 'eu-central-1',
  account: '123456789012',
  principal: { accessKeyId: 'AKIALABRUNNER0000001', arn: 'arn:aws:iam::123456789012:role/deploy', userId: 'AROA' },
  requestId: 'request',
};

type Answer = { readonly [field: string]: unknown };

function instanceId(number: number): string {
  return `i-${String(number).padStart(17, '0')}`;
}

/** A service with hosts 1 to `hosts`; those with an even number carry the tag `role=web`, the others `role=worker`. */
function lab(hosts: number, visibilityDelayMs: number | readonly [number, number] = 0) {
  const clock = manualClock();
  const hub = fakeHub(clock);
  const instances = new Instances();
  for (let number = 1; number <= hosts; number++) {
    const tags = { role: number % 2 === 0 ? 'web' : 'worker' };
    instances.add({ ...instanceAt('10.0.0.10', instanceId(number)), tags });
  }
  const scripts: SentScript[] = [];
  const operations = createRunCommand({
    hub,
    instances,
    clock,
    region: context.region,
    account: context.account,
    visibilityDelayMs,
    random: () => 0.5,
    onScript: (sent) => scripts.push(sent),
  });
  const call = async (operation: string, input: Answer = {}) =>
    (await operations[operation]?.(input, context)) as Answer;
  const ids = Array.from({ length: hosts }, (_, index) => instanceId(index + 1));
  const send = async (input: Answer = {}) => {
    const request = { DocumentName: 'AWS-RunShellScript', Parameters: { commands: ['true'] }, ...input };
    const { Command } = await call('SendCommand', input.Targets ? request : { InstanceIds: ids, ...request });
    clock.advance(0);
    return Command as Answer & { CommandId: string };
  };
  const command = async (CommandId: string) => ((await call('ListCommands', { CommandId })).Commands as Answer[])[0];
  const invocations = async (CommandId: string) =>
    (await call('ListCommandInvocations', { CommandId })).CommandInvocations as Answer[];
  const details = async (CommandId: string) =>
    Object.fromEntries((await invocations(CommandId)).map((one) => [String(one.InstanceId), one.StatusDetails]));
  const finish = (id: string, code: number) => hub.finish(id, hub.take(id), { code });
  return { clock, hub, instances, scripts, call, send, command, invocations, details, finish, ids };
}

describe('a command right after it was sent', () => {
  test('reads do not know it for a while, then show it without code and output until it ends', async () => {
    const { call, send, clock, hub, ids } = lab(1, [500, 1500]);
    const sent = await send({ Comment: 'prepare' });
    expect(sent).toMatchObject({ Status: 'Pending', StatusDetails: 'Pending', CompletedCount: 0, TargetCount: 0 });
    expect(sent.ExpiresAfter).toEqual(new Date(clock.now() + 7_200_000));
    const wanted = { CommandId: sent.CommandId, InstanceId: ids[0] };

    clock.advance(999);
    await expect(call('GetCommandInvocation', wanted)).rejects.toMatchObject({
      code: 'InvocationDoesNotExist',
      member: undefined,
    });
    expect(await call('ListCommandInvocations', { CommandId: sent.CommandId })).toEqual({ CommandInvocations: [] });

    clock.advance(1);
    const message = hub.take(ids[0] ?? '');
    expect(await call('GetCommandInvocation', wanted)).toMatchObject({
      Status: 'InProgress',
      ResponseCode: -1,
      ExecutionStartDateTime: '',
      StandardOutputContent: '',
      Comment: 'prepare',
    });

    hub.finish(ids[0] ?? '', message, { code: 3, stdout: 'o'.repeat(10), stderr: 'e'.repeat(9_000) });
    expect(await call('GetCommandInvocation', wanted)).toMatchObject({
      Status: 'Failed',
      StatusDetails: 'Failed',
      ResponseCode: 3,
      ExecutionElapsedTime: 'PT0.091S',
      StandardOutputContent: 'o'.repeat(10),
      StandardErrorContent: 'e'.repeat(8_000),
    });
  });

  test('times read as AWS writes them', () => {
    expect([91, 60_000, 3_600_271, 3_661_000].map(elapsed)).toEqual(['PT0.091S', 'PT1M0S', 'PT1H0.271S', 'PT1H1M1S']);
  });

  test('the agent gets the script and its limits as the document has them', async () => {
    const { send, hub, ids, scripts } = lab(1);
    const commands = ['#!/bin/bash', 'echo hi'];
    await send({ Parameters: { commands, executionTimeout: ['90'], workingDirectory: ['/srv'] } });
    expect(hub.waiting(ids[0] ?? '')).toMatchObject([
      { kind: 'run', parameters: { commands, executionTimeout: '90', workingDirectory: '/srv' } },
    ]);
    expect(scripts).toMatchObject([{ instances: ids, script: '#!/bin/bash\necho hi' }]);
  });
});

describe('listing', () => {
  test('60 hosts come in pages of 50 and 10, none twice', async () => {
    const { call, send } = lab(60);
    const targets = [{ Key: 'tag:role', Values: ['web', 'worker'] }];
    const { CommandId } = await send({ Targets: targets, MaxConcurrency: '100%' });
    const first = await call('ListCommandInvocations', { CommandId });
    const second = await call('ListCommandInvocations', { CommandId, NextToken: first.NextToken });
    const pages = [first, second].map((page) => page.CommandInvocations as Answer[]);
    expect(pages.map((page) => page.length)).toEqual([50, 10]);
    expect(new Set(pages.flat().map((one) => one.InstanceId)).size).toBe(60);
    expect(second.NextToken).toBeUndefined();
  });

  test('plugins are shown with Details only, filters narrow, commands come newest first', async () => {
    const { call, send, clock, finish, ids } = lab(2);
    const older = await send();
    finish(ids[0] ?? '', 0);
    clock.advance(5_000);
    const newer = await send();
    const list = async (input: Answer) => (await call('ListCommandInvocations', input)).CommandInvocations as Answer[];
    expect((await list({ CommandId: older.CommandId })).map((one) => one.CommandPlugins)).toEqual([[], []]);
    expect(await list({ CommandId: older.CommandId, InstanceId: ids[0], Details: true })).toMatchObject([
      { CommandPlugins: [{ Name: 'aws:runShellScript', ResponseCode: 0, Status: 'Success' }] },
    ]);
    expect(await list({ Filters: [{ key: 'Status', value: 'Success' }] })).toHaveLength(1);
    const { Commands } = (await call('ListCommands')) as { Commands: Answer[] };
    expect(Commands.map((command) => command.CommandId)).toEqual([newer.CommandId, older.CommandId]);
    await expect(list({ Filters: [{ key: 'Colour', value: 'red' }] })).rejects.toMatchObject({
      code: 'InvalidFilterKey',
    });
    await expect(list({ MaxResults: 51 })).rejects.toMatchObject({ code: 'ValidationException' });
    await expect(list({ NextToken: 'made up' })).rejects.toMatchObject({ code: 'InvalidNextToken' });
  });
});

describe('MaxConcurrency and MaxErrors', () => {
  test('one at a time and no error allowed: the first failure ends the rest as Terminated', async () => {
    const { send, details, finish, hub, command, ids } = lab(3);
    const { CommandId } = await send({ MaxConcurrency: '1', MaxErrors: '0' });
    expect(ids.map((id) => hub.waiting(id).length)).toEqual([1, 0, 0]);
    finish(ids[0] ?? '', 0);
    expect(ids.map((id) => hub.waiting(id).length)).toEqual([0, 1, 0]);
    finish(ids[1] ?? '', 1);
    expect(Object.values(await details(CommandId))).toEqual(['Success', 'Failed', 'Terminated']);
    expect(hub.waiting(ids[2] ?? '')).toEqual([]);
    expect(await command(CommandId)).toMatchObject({
      Status: 'Failed',
      StatusDetails: 'Failed',
      TargetCount: 3,
      CompletedCount: 3,
      ErrorCount: 1,
    });
  });

  test('10% of 50: the sixth error stops the command, what runs already is not called back', async () => {
    const { send, details, finish, ids, hub } = lab(50);
    const { CommandId } = await send({ MaxConcurrency: '10', MaxErrors: '10%' });
    for (const id of ids.slice(0, 5)) finish(id, 1);
    expect(Object.values(await details(CommandId))).not.toContain('Terminated');
    const running = ids.filter((id) => hub.waiting(id).length > 0);
    expect(running).toHaveLength(10);
    finish(running[0] ?? '', 1);
    const after = Object.values(await details(CommandId));
    expect(after.filter((one) => one === 'Terminated')).toHaveLength(35);
    expect(after.filter((one) => one === 'InProgress')).toHaveLength(9);
  });

  test('an error that is allowed makes the command Incomplete', async () => {
    const { send, finish, ids, command } = lab(2);
    const { CommandId } = await send({ MaxErrors: '1' });
    finish(ids[0] ?? '', 1);
    expect(await command(CommandId)).toMatchObject({ Status: 'InProgress' });
    finish(ids[1] ?? '', 0);
    expect(await command(CommandId)).toMatchObject({ StatusDetails: 'Incomplete', ErrorCount: 1 });
  });

  test('exit status 137 and a timeout look alike', async () => {
    const { send, hub, ids, invocations, command } = lab(1);
    const { CommandId } = await send();
    hub.finish(ids[0] ?? '', hub.take(ids[0] ?? ''), { code: 137, status: 'TimedOut' });
    expect(await invocations(CommandId)).toMatchObject([{ Status: 'TimedOut', StatusDetails: 'ExecutionTimedOut' }]);
    expect(await command(CommandId)).toMatchObject({ Status: 'TimedOut', ErrorCount: 1 });
  });
});

describe('an agent that does not answer', () => {
  test('the command does not run after TimeoutSeconds, and is reported after the execution timeout on top', async () => {
    const { send, hub, clock, details, ids, command } = lab(1);
    const { CommandId } = await send({
      TimeoutSeconds: 60,
      Parameters: { commands: ['true'], executionTimeout: ['120'] },
    });
    const [id = ''] = ids;
    clock.advance(59_999);
    expect(hub.waiting(id)).toHaveLength(1);
    clock.advance(1);
    expect(hub.waiting(id)).toEqual([]);
    expect(await details(CommandId)).toEqual({ [id]: 'InProgress' });
    clock.advance(119_999);
    expect(await details(CommandId)).toEqual({ [id]: 'InProgress' });
    clock.advance(1);
    expect(await details(CommandId)).toEqual({ [id]: 'DeliveryTimedOut' });
    expect(await command(CommandId)).toMatchObject({
      Status: 'TimedOut',
      StatusDetails: 'DeliveryTimedOut',
      DeliveryTimedOutCount: 1,
      ErrorCount: 0,
    });
  });

  test('an agent that is not connected delays the command, a terminated instance makes it Undeliverable', async () => {
    const { send, hub, details, instances, command, finish, ids } = lab(2);
    const [gone = '', well = ''] = ids;
    hub.disconnect(gone);
    const { CommandId } = await send();
    expect(await details(CommandId)).toEqual({ [gone]: 'Delayed', [well]: 'InProgress' });
    instances.setState(gone, 'terminated');
    finish(well, 0);
    expect(await details(CommandId)).toEqual({ [gone]: 'Undeliverable', [well]: 'Success' });
    expect(await command(CommandId)).toMatchObject({ Status: 'Success' });
  });

  test('a script whose host dies is reported as not delivered, at the end of all timeouts', async () => {
    const { send, hub, clock, details, ids } = lab(1);
    const [id = ''] = ids;
    const { CommandId } = await send({ TimeoutSeconds: 30 });
    hub.take(id);
    clock.advance(30_000 + 3_600_000 - 1);
    expect(await details(CommandId)).toEqual({ [id]: 'InProgress' });
    clock.advance(1);
    expect(await details(CommandId)).toEqual({ [id]: 'DeliveryTimedOut' });
  });
});

describe('CancelCommand', () => {
  test('what no agent has taken is cancelled at once and never delivered', async () => {
    const { send, call, hub, details, ids, command } = lab(2);
    const { CommandId } = await send({ MaxConcurrency: '1' });
    expect(await call('CancelCommand', { CommandId })).toEqual({});
    expect(Object.values(await details(CommandId))).toEqual(['Cancelled', 'Cancelled']);
    expect(ids.flatMap((id) => hub.waiting(id))).toEqual([]);
    expect(await command(CommandId)).toMatchObject({ Status: 'Cancelled', StatusDetails: 'Cancelled' });
  });

  test('what runs is Cancelling until the agent has stopped it', async () => {
    const { send, call, hub, details, ids, command } = lab(1);
    const [id = ''] = ids;
    const { CommandId } = await send();
    const message = hub.take(id);
    await call('CancelCommand', { CommandId, InstanceIds: [id] });
    expect(await details(CommandId)).toEqual({ [id]: 'Cancelling' });
    expect(await command(CommandId)).toMatchObject({ Status: 'Cancelling' });
    expect(hub.waiting(id)).toMatchObject([{ kind: 'cancel', commandId: CommandId }]);
    hub.finish(id, message, { code: 137, status: 'Cancelled' });
    expect(await details(CommandId)).toEqual({ [id]: 'Cancelled' });
  });

  test('of a command that waits in the agent nothing is heard; it counts as cancelled when its time is over', async () => {
    const { send, call, hub, details, clock, ids } = lab(1);
    const [id = ''] = ids;
    const { CommandId } = await send({
      TimeoutSeconds: 30,
      Parameters: { commands: ['true'], executionTimeout: ['10'] },
    });
    hub.take(id);
    await call('CancelCommand', { CommandId });
    hub.take(id);
    clock.advance(39_999);
    expect(await details(CommandId)).toEqual({ [id]: 'Cancelling' });
    clock.advance(1);
    expect(await details(CommandId)).toEqual({ [id]: 'Cancelled' });
  });

  test('an unknown command is an error', async () => {
    const { call } = lab(1);
    const unknown = { CommandId: '11111111-2222-3333-4444-555555555555' };
    await expect(call('CancelCommand', unknown)).rejects.toMatchObject({ code: 'InvalidCommandId' });
  });
});

describe('what SendCommand refuses', () => {
  const one = { InstanceIds: [instanceId(1)] };
  test.each<[string, Answer, string]>([
    ['a stopped instance, for the whole batch', { InstanceIds: [instanceId(1), instanceId(2)] }, 'InvalidInstanceId'],
    ['an instance that does not exist', { InstanceIds: [instanceId(9)] }, 'InvalidInstanceId'],
    ['an instance twice', { InstanceIds: [instanceId(1), instanceId(1)] }, 'DuplicateInstanceId'],
    ['another document', { ...one, DocumentName: 'AWS-RunPowerShellScript' }, 'InvalidDocument'],
    [
      'a parameter that the document lacks',
      { ...one, Parameters: { commands: ['x'], Shell: ['x'] } },
      'InvalidParameters',
    ],
    ['no commands', { ...one, Parameters: {} }, 'InvalidParameters'],
    ['a timeout of no time', { ...one, Parameters: { commands: ['x'], executionTimeout: ['0'] } }, 'InvalidParameters'],
    ['a MaxErrors of 101%', { ...one, MaxErrors: '101%' }, 'ValidationException'],
    ['a delivery timeout below 30 s', { ...one, TimeoutSeconds: 29 }, 'ValidationException'],
    ['neither instances nor targets', {}, 'ValidationException'],
  ])('%s', async (_, input, code) => {
    const { call, instances } = lab(2);
    instances.setState(instanceId(2), 'stopped');
    const request = { DocumentName: 'AWS-RunShellScript', Parameters: { commands: ['x'] }, ...input };
    await expect(call('SendCommand', request)).rejects.toMatchObject({ code });
  });

  test('six targets, in the words of AWS', async () => {
    const { call } = lab(1);
    const Targets = Array.from({ length: 6 }, () => ({ Key: 'tag:role', Values: ['web'] }));
    const request = { DocumentName: 'AWS-RunShellScript', Parameters: { commands: ['x'] }, Targets };
    await expect(call('SendCommand', request)).rejects.toThrow(
      /^1 validation error detected: Value '.*' at 'targets' failed to satisfy constraint: Member must have length less than or equal to 5$/,
    );
  });
});

describe('targets and managed nodes', () => {
  test('tags choose the hosts; a tag that nobody has makes a command without invocations', async () => {
    const { send, details, command } = lab(4);
    const web = await send({ Targets: [{ Key: 'tag:role', Values: ['web'] }] });
    expect(Object.keys(await details(web.CommandId))).toEqual([instanceId(2), instanceId(4)]);
    const nobody = await send({ Targets: [{ Key: 'tag:role', Values: ['db'] }] });
    expect(await command(nobody.CommandId)).toMatchObject({ StatusDetails: 'NoInstancesInTag', TargetCount: 0 });
  });

  test('nodes come in pages, without stopped instances, by filter', async () => {
    const { call, instances, ids, hub } = lab(12);
    instances.setState(instanceId(12), 'stopped');
    hub.disconnect(instanceId(3));
    const list = async (input: Answer) =>
      (await call('DescribeInstanceInformation', input)) as { InstanceInformationList: Answer[]; NextToken?: string };
    const first = await list({});
    const second = await list({ NextToken: first.NextToken });
    const found = [first, second].flatMap((page) => page.InstanceInformationList);
    expect(found.map((node) => node.InstanceId)).toEqual(ids.slice(0, 11));
    expect(first.InstanceInformationList).toHaveLength(10);
    expect(found[0]).toMatchObject({
      PingStatus: 'Online',
      AgentVersion: '3.3.0.0',
      PlatformType: 'Linux',
      PlatformName: 'Debian GNU/Linux',
      PlatformVersion: '13',
      ResourceType: 'EC2Instance',
    });
    const lost = await list({ Filters: [{ Key: 'PingStatus', Values: ['ConnectionLost'] }] });
    expect(lost.InstanceInformationList.map((node) => node.InstanceId)).toEqual([instanceId(3)]);
    const asked = await list({ Filters: [{ Key: 'InstanceIds', Values: [instanceId(2), instanceId(99)] }] });
    expect(asked.InstanceInformationList.map((node) => node.InstanceId)).toEqual([instanceId(2)]);
    const malformed = list({ Filters: [{ Key: 'InstanceIds', Values: ['host-1'] }] });
    await expect(malformed).rejects.toMatchObject({ code: 'InvalidInstanceId' });
    await expect(list({ MaxResults: 4 })).rejects.toMatchObject({ code: 'ValidationException' });
  });
});
