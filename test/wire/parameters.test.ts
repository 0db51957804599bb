import {
  DeleteParameterCommand,
  DeleteParametersCommand,
  DescribeParametersCommand,
  GetParameterCommand,
  GetParameterHistoryCommand,
  GetParametersByPathCommand,
  GetParametersCommand,
  PutParameterCommand,
  type PutParameterCommandInput,
  paginateGetParameterHistory,
  paginateGetParametersByPath,
  SSMClient,
} from '@aws-sdk/client-ssm';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createParameterStore } from '../../lab/services/parameters/parameters.js';
import type { Operation } from '../../lab/wire/service.js';
import { ACCOUNT, DEPLOYER, failureOf, HandClock, REGION, ssmService, startLocalAws } from './local-aws.js';

const operations: Record<string, Operation> = {};
let local: Awaited<ReturnType<typeof startLocalAws>>;
let client: SSMClient;
let clock: HandClock;
let contended: string | undefined;

beforeAll(async () => {
  local = await startLocalAws([ssmService(operations)]);
  client = new SSMClient(local.client);
});
afterAll(() => local.close());
beforeEach(() => {
  clock = new HandClock();
  contended = undefined;
  const tooManyUpdates = (name: string) => name === contended;
  Object.assign(operations, createParameterStore({ clock, tooManyUpdates, recreateDelaySeconds: 30 }));
});

function put(Name: string, Value: string, options: Partial<PutParameterCommandInput> = {}) {
  return client.send(new PutParameterCommand({ Name, Value, Type: 'String', ...options }));
}

async function read(Name: string, WithDecryption = false) {
  const { Parameter } = await client.send(new GetParameterCommand({ Name, WithDecryption }));
  return Parameter?.Value;
}

describe('versions', () => {
  test('a write makes version 1, an overwrite the next, and each stays readable by its number', async () => {
    expect(await put('/shop/lease', 'first')).toMatchObject({ Version: 1, Tier: 'Standard' });
    expect(await put('/shop/lease', 'second', { Overwrite: true, Type: undefined })).toMatchObject({ Version: 2 });
    const { Parameter } = await client.send(new GetParameterCommand({ Name: '/shop/lease:1' }));
    expect(Parameter).toEqual({
      Name: '/shop/lease',
      Type: 'String',
      Value: 'first',
      Version: 1,
      Selector: ':1',
      LastModifiedDate: new Date(clock.now()),
      ARN: `arn:aws:ssm:${REGION}:${ACCOUNT}:parameter/shop/lease`,
      DataType: 'text',
    });
    expect(await read('/shop/lease')).toBe('second');
    expect(await read(`arn:aws:ssm:${REGION}:${ACCOUNT}:parameter/shop/lease`)).toBe('second');
  });

  test('without Overwrite an existing parameter is kept', async () => {
    await put('/shop/lease', 'first');
    expect(await failureOf(put('/shop/lease', 'second'))).toMatchObject({
      name: 'ParameterAlreadyExists',
      message:
        'The parameter already exists. To overwrite this value, set the overwrite option in the request to true.',
    });
    expect(await read('/shop/lease')).toBe('first');
  });

  test('of writers at the same time exactly one creates, and every overwrite gets a version of its own', async () => {
    const creations = await Promise.allSettled(Array.from({ length: 8 }, (_, index) => put('/shop/lease', `${index}`)));
    expect(creations.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const writes = Array.from({ length: 8 }, () => put('/shop/lease', 'x', { Overwrite: true }));
    const versions = (await Promise.all(writes)).map(({ Version }) => Version);
    expect(new Set(versions).size).toBe(8);
  });

  test('the last 100 versions are kept and can be paged through, the oldest first', async () => {
    for (let index = 1; index <= 103; index += 1) await put('/shop/current', `v${index}`, { Overwrite: true });
    const pages = [];
    for await (const page of paginateGetParameterHistory({ client, pageSize: 40 }, { Name: '/shop/current' })) {
      pages.push(page.Parameters ?? []);
    }
    expect(pages.map((page) => page.length)).toEqual([40, 40, 20]);
    expect(pages.flat().map(({ Version }) => Version)).toEqual(Array.from({ length: 100 }, (_, index) => index + 4));
    expect(pages.flat()[0]).toMatchObject({ Value: 'v4', LastModifiedUser: DEPLOYER.arn });
  });

  test('what is not there has no message, a version that is not there has one', async () => {
    await put('/shop/current', 'v1');
    const missing = await failureOf(client.send(new GetParameterCommand({ Name: '/shop/none' })));
    expect(missing).toMatchObject({ name: 'ParameterNotFound', message: 'UnknownError' });
    expect(await failureOf(client.send(new GetParameterCommand({ Name: '/shop/current:7' })))).toMatchObject({
      name: 'ParameterVersionNotFound',
      message: 'Systems Manager could not find version 7 of /shop/current. Verify the version and try again.',
    });
    const history = new GetParameterHistoryCommand({ Name: '/shop/none' });
    expect((await failureOf(client.send(history))).name).toBe('ParameterNotFound');
  });

  test('GetParameters tells apart what it has and what it does not', async () => {
    await put('/shop/a', '1');
    const Names = ['/shop/a', '/shop/b', '/shop/a:9'];
    const answer = await client.send(new GetParametersCommand({ Names }));
    expect(answer.Parameters?.map(({ Value }) => Value)).toEqual(['1']);
    expect(answer.InvalidParameters).toEqual(['/shop/b', '/shop/a:9']);
    const tooMany = new GetParametersCommand({ Names: Array.from({ length: 11 }, (_, index) => `/n/${index}`) });
    expect(await failureOf(client.send(tooMany))).toMatchObject({
      name: 'ValidationException',
      message: expect.stringMatching(/at 'names' .*less than or equal to 10$/),
    });
  });
});

describe('paths', () => {
  beforeEach(async () => {
    for (let index = 10; index < 33; index += 1) await put(`/shop/production/releases/${index}`, `r${index}`);
    await put('/shop/production/current', 'r32');
    await put('/shop/staging/current', 'r11');
  });

  test('a path is paged by ten, and deeper levels come only when asked for', async () => {
    const pages = [];
    const query = { Path: '/shop/production', Recursive: true };
    for await (const page of paginateGetParametersByPath({ client }, query)) pages.push(page.Parameters ?? []);
    expect(pages.map((page) => page.length)).toEqual([10, 10, 4]);
    expect(new Set(pages.flat().map(({ Name }) => Name)).size).toBe(24);
    const flat = await client.send(new GetParametersByPathCommand({ Path: '/shop/production/' }));
    expect(flat.Parameters?.map(({ Name }) => Name)).toEqual(['/shop/production/current']);
  });

  test('a parameter deleted between two pages makes none of the others disappear', async () => {
    const Path = '/shop/production/releases';
    const first = await client.send(new GetParametersByPathCommand({ Path }));
    await client.send(new DeleteParameterCommand({ Name: `${Path}/10` }));
    const second = await client.send(new GetParametersByPathCommand({ Path, NextToken: first.NextToken }));
    expect(second.Parameters?.[0]?.Name).toBe(`${Path}/20`);
  });

  test('more than ten a page, a path without a slash and a token of other making are refused', async () => {
    const asked = [{ Path: '/shop', MaxResults: 11 }, { Path: 'shop' }, { Path: '/shop', NextToken: 'bm9uc2Vuc2U=' }];
    const failures = await Promise.all(
      asked.map((input) => failureOf(client.send(new GetParametersByPathCommand(input)))),
    );
    expect(failures.map(({ name }) => name)).toEqual([
      'ValidationException',
      'ValidationException',
      'InvalidNextToken',
    ]);
  });

  test('DescribeParameters finds by the beginning of a name and shows no value', async () => {
    const ParameterFilters = [{ Key: 'Name', Option: 'BeginsWith', Values: ['/shop/staging'] }];
    const { Parameters } = await client.send(new DescribeParametersCommand({ ParameterFilters }));
    expect(Parameters).toMatchObject([{ Name: '/shop/staging/current', Version: 1, Tier: 'Standard' }]);
    expect(Parameters?.[0]).not.toHaveProperty('Value');
  });
});

describe('values', () => {
  test('a SecureString is readable only with decryption', async () => {
    await put('/shop/password', 'hunter2', { Type: 'SecureString' });
    expect(await read('/shop/password', true)).toBe('hunter2');
    const { Parameter } = await client.send(new GetParameterCommand({ Name: '/shop/password' }));
    expect(Parameter).toMatchObject({ Type: 'SecureString', Value: expect.stringMatching(/^AQICAHi[A-Za-z0-9+/=]+$/) });
    const listed = await client.send(new GetParametersByPathCommand({ Path: '/shop' }));
    expect(JSON.stringify(listed)).not.toContain('hunter2');
  });

  test('4 KB fit the standard tier, 8 KB the advanced one, and there is no way back', async () => {
    const full = 'é'.repeat(2048);
    expect(await put('/shop/a', full)).toMatchObject({ Tier: 'Standard' });
    expect(await failureOf(put('/shop/b', `${full}x`))).toMatchObject({
      name: 'ValidationException',
      message: expect.stringContaining(
        'Standard tier parameters support a maximum parameter value of 4096 characters.',
      ),
    });
    expect(await put('/shop/b', `${full}x`, { Tier: 'Intelligent-Tiering' })).toMatchObject({ Tier: 'Advanced' });
    const tooLong = failureOf(put('/shop/c', 'x'.repeat(8193), { Tier: 'Advanced' }));
    expect((await tooLong).message).toContain('Advanced tier parameters support a maximum parameter value of 8192');
    const down = failureOf(put('/shop/b', 'x', { Tier: 'Standard', Overwrite: true }));
    expect((await down).message).toContain("You can't downgrade a parameter");
    expect(await put('/shop/b', 'x', { Overwrite: true })).toMatchObject({ Tier: 'Advanced' });
  });

  test.each([
    ['/shop/a', 'a {{ssm:other}} b', 'ValidationException', '{{}}'],
    ['/shop/a', '', 'ValidationException', "at 'value'"],
    ['/aws/a', 'x', 'AccessDeniedException', 'reserved parameter name'],
    ['/ssm-things/a', 'x', 'ValidationException', 'prefixed with "ssm"'],
    ['/shop/a b', 'x', 'ValidationException', 'mix of letters'],
    ['shop/a', 'x', 'ValidationException', 'fully qualified'],
    [`/${Array(16).fill('a').join('/')}`, 'x', 'HierarchyLevelLimitExceededException', '15 levels'],
    [`/${'a'.repeat(1000)}`, 'x', 'ValidationException', '1011'],
  ])('%s = %s is refused', async (name, value, code, message) => {
    const refusal = await failureOf(put(name, value));
    expect(refusal.name).toBe(code);
    expect(refusal.message).toContain(message);
  });

  test('a new parameter needs a type', async () => {
    expect(await failureOf(put('/shop/a', 'x', { Type: undefined }))).toMatchObject({ name: 'ValidationException' });
  });
});

describe('deleting and contention', () => {
  test('a deleted parameter is gone and begins again at version 1, once AWS is ready for it', async () => {
    await put('/shop/a', 'x');
    await put('/shop/a', 'y', { Overwrite: true });
    const { DeletedParameters, InvalidParameters } = await client.send(
      new DeleteParametersCommand({ Names: ['/shop/a', '/shop/b'] }),
    );
    expect({ DeletedParameters, InvalidParameters }).toEqual({
      DeletedParameters: ['/shop/a'],
      InvalidParameters: ['/shop/b'],
    });
    const again = client.send(new DeleteParameterCommand({ Name: '/shop/a' }));
    expect((await failureOf(again)).name).toBe('ParameterNotFound');
    clock.advance(29);
    expect((await failureOf(put('/shop/a', 'z'))).name).toBe('TooManyUpdates');
    clock.advance(1);
    expect(await put('/shop/a', 'z')).toMatchObject({ Version: 1 });
  });

  test('contention is an error that leaves the parameter as it was', async () => {
    await put('/shop/lease', 'x');
    contended = '/shop/lease';
    expect(await failureOf(put('/shop/lease', 'y', { Overwrite: true }))).toMatchObject({
      name: 'TooManyUpdates',
      $metadata: { httpStatusCode: 400 },
    });
    expect(await read('/shop/lease')).toBe('x');
  });
});
