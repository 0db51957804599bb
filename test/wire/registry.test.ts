import { once } from 'node:events';
import { request } from 'node:http';
import { CreateRepositoryCommand, ImageTagMutability, UpdateImageStorageClassCommand } from '@aws-sdk/client-ecr';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createEcr } from '../../lab/services/ecr/ecr.js';
import { ACCOUNT, HandClock, REGION } from './local-aws.js';
import { type LocalRegistry, REGISTRY_HOST, startLocalRegistry } from './local-registry.js';
import { digestOf } from './plain-registry.js';

let local: LocalRegistry;

beforeEach(async () => {
  local = await startLocalRegistry();
  const exclusions = [{ filterType: 'WILDCARD' as const, filter: 'cache*' }];
  await local.client.send(new CreateRepositoryCommand({ repositoryName: 'team/shop' }));
  await local.client.send(
    new CreateRepositoryCommand({
      repositoryName: 'strict',
      imageTagMutability: ImageTagMutability.IMMUTABLE_WITH_EXCLUSION,
      imageTagMutabilityExclusionFilters: exclusions,
    }),
  );
});
afterEach(() => local.close());

async function errorOf(response: Response) {
  const { errors } = (await response.json()) as { errors: { code: string; message: string }[] };
  return { status: response.status, ...errors[0] };
}

describe('the login', () => {
  test('a request without one gets the answer of ECR, to the byte', async () => {
    const response = await fetch(`${local.base}/v2/`);
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe(
      `Basic realm="https://${ACCOUNT}.dkr.ecr.${REGION}.amazonaws.com/",service="ecr.amazonaws.com"`,
    );
    expect(response.headers.get('docker-distribution-api-version')).toBe('registry/2.0');
    expect(await response.text()).toBe('Not Authorized\n');
  });

  test.each([
    ['a token that was never issued', `Basic ${Buffer.from('AWS:guess').toString('base64')}`],
    ['a bearer token', 'Bearer abc'],
    ['no password', `Basic ${Buffer.from('AWS:').toString('base64')}`],
  ])('%s opens nothing', async (_, authorization) => {
    for (const path of ['/v2/', '/v2/team/shop/manifests/v1', '/v2/team/shop/tags/list']) {
      expect((await local.docker(path, { authorization })).status).toBe(401);
    }
    expect(local.plain.received).toEqual([]);
  });

  test('a token is good for twelve hours', async () => {
    const authorization = await local.login();
    local.clock.advance(12 * 3600 - 1);
    expect((await local.docker('/v2/', { authorization })).status).toBe(200);
    local.clock.advance(1);
    expect(await errorOf(await local.docker('/v2/', { authorization }))).toEqual({
      status: 403,
      code: 'DENIED',
      message: 'Your authorization token has expired. Reauthenticate and try again.',
    });
    expect((await local.docker('/v2/')).status).toBe(200);
  });

  test('it stays between docker and ECR', async () => {
    await local.push('team/shop', 'v1', 'one');
    expect(local.plain.received.length).toBeGreaterThan(0);
    expect(local.plain.received.filter(({ headers }) => headers.authorization !== undefined)).toEqual([]);
  });
});

describe('pushing and pulling', () => {
  test('what is pushed by tag comes back by tag and by digest, byte for byte', async () => {
    const { response, manifest, digest } = await local.push('team/shop', 'v1', 'one');
    expect(response.status).toBe(201);
    expect(response.headers.get('docker-content-digest')).toBe(digest);
    for (const reference of ['v1', digest]) {
      const pulled = await local.docker(`/v2/team/shop/manifests/${reference}`);
      expect(pulled.headers.get('docker-content-digest')).toBe(digest);
      expect(await pulled.text()).toBe(manifest);
    }
    const head = await local.docker('/v2/team/shop/manifests/v1', { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(manifest.length)]);
    const tags = await local.docker('/v2/team/shop/tags/list');
    expect(await tags.json()).toEqual({ name: 'team/shop', tags: ['v1'] });
  });

  test('every address leads the client back to the front', async () => {
    const started = await local.docker('/v2/team/shop/blobs/uploads/', { method: 'POST' });
    const location = started.headers.get('location') ?? '';
    expect(location.startsWith(`${local.base}/v2/team/shop/blobs/uploads/`)).toBe(true);
    expect(location).toMatch(/\?_state=s$/);
    const layer = Buffer.from('a layer');
    const appended = await local.docker(location, { method: 'PATCH', body: new Uint8Array(layer) });
    const done = await local.docker(`${appended.headers.get('location')}&digest=${digestOf(layer)}`, { method: 'PUT' });
    expect(done.headers.get('location')).toBe(`${local.base}/v2/team/shop/blobs/${digestOf(layer)}`);
    expect(await (await local.docker(`/v2/team/shop/blobs/${digestOf(layer)}`)).text()).toBe('a layer');
  });

  test('a large layer passes in chunks in both directions', async () => {
    const layer = Buffer.alloc(24 * 1024 * 1024, 'layer');
    const started = await local.docker('/v2/team/shop/blobs/uploads/', { method: 'POST' });
    const authorization = await local.login();
    const upload = request(started.headers.get('location') ?? '', { method: 'PATCH', headers: { authorization } });
    for (let offset = 0; offset < layer.length; offset += 1_000_000)
      upload.write(layer.subarray(offset, offset + 1_000_000));
    upload.end();
    const [answer] = await once(upload, 'response');
    answer.resume();
    expect(local.plain.received.at(-1)?.headers['transfer-encoding']).toBe('chunked');
    await local.docker(`${answer.headers.location}&digest=${digestOf(layer)}`, { method: 'PUT' });
    const pulls = await Promise.all([1, 2, 3].map(() => local.docker(`/v2/team/shop/blobs/${digestOf(layer)}`)));
    for (const pull of pulls) expect(digestOf(Buffer.from(await pull.arrayBuffer()))).toBe(digestOf(layer));
  });

  test('a layer is mounted from a repository of the account, and uploaded where that one does not exist', async () => {
    const layer = Buffer.from('shared');
    await local.pushBlob('team/shop', layer);
    const mount = (from: string) =>
      local.docker(`/v2/strict/blobs/uploads/?mount=${digestOf(layer)}&from=${from}`, { method: 'POST' });
    expect((await mount('team/shop')).status).toBe(201);
    expect((await mount('elsewhere')).status).toBe(202);
  });

  test('a manifest whose layers are missing is refused with the reason of the registry', async () => {
    const manifest = JSON.stringify({ config: { digest: digestOf(Buffer.from('none')), size: 4 } });
    const response = await local.docker('/v2/team/shop/manifests/v1', { method: 'PUT', body: manifest });
    expect(await errorOf(response)).toMatchObject({ status: 400, code: 'MANIFEST_BLOB_UNKNOWN' });
    expect((await local.docker('/v2/team/shop/manifests/v1')).status).toBe(404);
  });

  test('a registry that is down is a 503, not a hanging docker', async () => {
    const authorization = await local.login();
    await local.plain.close();
    const response = await local.docker(`/v2/team/shop/blobs/${digestOf(Buffer.from('x'))}`, { authorization });
    expect(await errorOf(response)).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
  });
});

describe('refusals in the words of ECR', () => {
  test('a repository must exist', async () => {
    const message = `The repository with name 'none' does not exist in the registry with id '${ACCOUNT}'`;
    for (const [method, path] of [
      ['GET', 'manifests/v1'],
      ['POST', 'blobs/uploads/'],
    ]) {
      const response = await local.docker(`/v2/none/${path}`, { method: method ?? '' });
      expect(await errorOf(response)).toEqual({ status: 404, code: 'NAME_UNKNOWN', message });
    }
  });

  test('a tag must exist', async () => {
    const response = await local.docker('/v2/team/shop/manifests/v9');
    const message = 'Requested image not found';
    expect(await errorOf(response)).toEqual({ status: 404, code: 'MANIFEST_UNKNOWN', message });
  });

  test('an immutable tag stays, even for the same image; an excluded one moves', async () => {
    const first = await local.push('strict', 'v1', 'one');
    for (const text of ['two', 'one']) {
      const { response } = await local.push('strict', 'v1', text);
      expect(await errorOf(response)).toEqual({
        status: 400,
        code: 'TAG_INVALID',
        message:
          "The image tag 'v1' already exists in the 'strict' repository and cannot be overwritten because the tag is immutable.",
      });
    }
    const kept = await local.docker('/v2/strict/manifests/v1', { method: 'HEAD' });
    expect(kept.headers.get('docker-content-digest')).toBe(first.digest);
    await local.push('strict', 'cache-main', 'one');
    expect((await local.push('strict', 'cache-main', 'two')).response.status).toBe(201);
  });

  test('of two pushes of an immutable tag at the same time one wins', async () => {
    const pushes = await Promise.all(['one', 'two', 'three'].map((text) => local.push('strict', 'v1', text)));
    expect(pushes.map(({ response }) => response.status).sort()).toEqual([201, 400, 400]);
    const winner = pushes.find(({ response }) => response.status === 201);
    const stored = await local.docker('/v2/strict/manifests/v1');
    expect(await stored.text()).toBe(winner?.manifest);
  });

  test('a manifest that is not what its digest says is refused', async () => {
    const path = `/v2/team/shop/manifests/${digestOf(Buffer.from('other'))}`;
    const response = await local.docker(path, { method: 'PUT', body: '{}' });
    expect(await errorOf(response)).toMatchObject({ status: 400, code: 'DIGEST_INVALID' });
  });

  test('an archived image cannot be pulled until it is restored', async () => {
    await local.push('team/shop', 'v1', 'one');
    const move = (targetStorageClass: 'ARCHIVE' | 'STANDARD') =>
      local.client.send(
        new UpdateImageStorageClassCommand({
          repositoryName: 'team/shop',
          imageId: { imageTag: 'v1' },
          targetStorageClass,
        }),
      );
    await move('ARCHIVE');
    expect((await local.docker('/v2/team/shop/manifests/v1')).status).toBe(404);
    await move('STANDARD');
    expect((await local.docker('/v2/team/shop/manifests/v1')).status).toBe(200);
  });
});

test('an image that an earlier lab left in the registry is found again', async () => {
  const { digest } = await local.push('team/shop', 'v1', 'one');
  const upstream = local.plain.url;
  const next = createEcr({
    clock: new HandClock(),
    region: REGION,
    account: ACCOUNT,
    registryHost: REGISTRY_HOST,
    upstream,
  });
  next.repositories.create('team/shop', { createdAt: 0 });
  const principal = { accessKeyId: '', arn: '', userId: '' };
  const context = { region: REGION, account: ACCOUNT, principal, requestId: '' };
  const answer = await next.service.operations.ListImages?.({ repositoryName: 'team/shop' }, context);
  expect(answer).toMatchObject({ imageIds: [{ imageDigest: digest, imageTag: 'v1' }] });
});
