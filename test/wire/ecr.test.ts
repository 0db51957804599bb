import {
  BatchCheckLayerAvailabilityCommand,
  BatchDeleteImageCommand,
  BatchGetImageCommand,
  CreateRepositoryCommand,
  DeleteRepositoryCommand,
  DescribeImagesCommand,
  type DescribeImagesCommandInput,
  DescribeRepositoriesCommand,
  GetAuthorizationTokenCommand,
  GetLifecyclePolicyCommand,
  ListImagesCommand,
  PutImageCommand,
  type PutImageCommandInput,
  PutImageTagMutabilityCommand,
  PutLifecyclePolicyCommand,
  paginateDescribeImages,
  paginateDescribeRepositories,
  UpdateImageStorageClassCommand,
} from '@aws-sdk/client-ecr';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ACCOUNT, failureOf, REGION } from './local-aws.js';
import { type LocalRegistry, REGISTRY_HOST, startLocalRegistry } from './local-registry.js';
import { digestOf, IMAGE_TYPE, INDEX_TYPE } from './plain-registry.js';

const repositoryName = 'shop';
const ABSENT = `sha256:${'0'.repeat(64)}`;

let local: LocalRegistry;

beforeEach(async () => {
  local = await startLocalRegistry();
  await local.client.send(new CreateRepositoryCommand({ repositoryName }));
});
afterEach(() => local.close());

const describeImages = (input: Partial<DescribeImagesCommandInput> = {}) =>
  local.client.send(new DescribeImagesCommand({ repositoryName, ...input }));
const putImage = (input: Partial<PutImageCommandInput>) =>
  local.client.send(new PutImageCommand({ repositoryName, imageManifest: '{}', ...input }));

describe('repositories', () => {
  test('are named by the registry that hosts reach', async () => {
    const { repositories } = await local.client.send(new DescribeRepositoriesCommand({ repositoryNames: ['shop'] }));
    expect(repositories).toEqual([
      {
        repositoryArn: `arn:aws:ecr:${REGION}:${ACCOUNT}:repository/shop`,
        registryId: ACCOUNT,
        repositoryName: 'shop',
        repositoryUri: `${REGISTRY_HOST}/shop`,
        createdAt: new Date(local.clock.now()),
        imageTagMutability: 'MUTABLE',
        imageScanningConfiguration: { scanOnPush: false },
        encryptionConfiguration: { encryptionType: 'AES256' },
      },
    ]);
  });

  test('are made once, under a name that ECR takes, and deleted only when empty or by force', async () => {
    const create = (name: string) => local.client.send(new CreateRepositoryCommand({ repositoryName: name }));
    expect(await failureOf(create('shop'))).toMatchObject({
      name: 'RepositoryAlreadyExistsException',
      message: `The repository with name 'shop' already exists in the registry with id '${ACCOUNT}'`,
    });
    expect((await failureOf(create('Shop'))).name).toBe('InvalidParameterException');
    await local.push('shop', 'v1', 'one');
    const remove = (force: boolean) => local.client.send(new DeleteRepositoryCommand({ repositoryName, force }));
    expect((await failureOf(remove(false))).name).toBe('RepositoryNotEmptyException');
    await remove(true);
    expect(await failureOf(describeImages())).toMatchObject({
      name: 'RepositoryNotFoundException',
      message: `The repository with name 'shop' does not exist in the registry with id '${ACCOUNT}'`,
    });
    await create('shop');
    expect((await describeImages()).imageDetails).toEqual([]);
  });

  test('are listed page by page', async () => {
    for (const name of ['alpha', 'beta', 'gamma']) local.repositories.create(name, { createdAt: 0 });
    const pages = [];
    for await (const page of paginateDescribeRepositories({ client: local.client, pageSize: 3 }, {})) {
      pages.push(page.repositories?.map((repository) => repository.repositoryName));
    }
    expect(pages).toEqual([['alpha', 'beta', 'gamma'], ['shop']]);
  });

  test('immutability with exclusions needs the exclusions', async () => {
    const put = (filters: string[]) =>
      local.client.send(
        new PutImageTagMutabilityCommand({
          repositoryName,
          imageTagMutability: 'IMMUTABLE_WITH_EXCLUSION',
          imageTagMutabilityExclusionFilters: filters.map((filter) => ({ filterType: 'WILDCARD', filter })),
        }),
      );
    expect((await failureOf(put([]))).name).toBe('InvalidParameterException');
    expect(await put(['cache*'])).toMatchObject({
      imageTagMutability: 'IMMUTABLE_WITH_EXCLUSION',
      imageTagMutabilityExclusionFilters: [{ filterType: 'WILDCARD', filter: 'cache*' }],
    });
  });

  test('a lifecycle policy is kept as it was put', async () => {
    const get = () => local.client.send(new GetLifecyclePolicyCommand({ repositoryName }));
    expect((await failureOf(get())).name).toBe('LifecyclePolicyNotFoundException');
    await local.client.send(new PutLifecyclePolicyCommand({ repositoryName, lifecyclePolicyText: '{"rules":[]}' }));
    expect((await get()).lifecyclePolicyText).toBe('{"rules":[]}');
  });
});

test('a login is for the user AWS, for twelve hours, at the registry that hosts reach', async () => {
  const { authorizationData } = await local.client.send(new GetAuthorizationTokenCommand({}));
  const [{ authorizationToken = '', expiresAt, proxyEndpoint } = {}] = authorizationData ?? [];
  expect(Buffer.from(authorizationToken, 'base64').toString()).toMatch(/^AWS:[\w+/=]{1000,}$/);
  expect(expiresAt?.getTime()).toBe(local.clock.now() + 12 * 3600 * 1000);
  expect(proxyEndpoint).toBe(`http://${REGISTRY_HOST}`);
});

describe('images', () => {
  test('a pushed image is described with its tags, its size and the time of its push', async () => {
    const { digest, manifest } = await local.push('shop', 'v1', 'one');
    const pushedAt = new Date(local.clock.now());
    local.clock.advance(60);
    await local.push('shop', 'latest', 'one');
    const { config, layers } = JSON.parse(manifest) as { config: { size: number }; layers: { size: number }[] };
    expect((await describeImages()).imageDetails).toEqual([
      {
        registryId: ACCOUNT,
        repositoryName,
        imageDigest: digest,
        imageTags: ['v1', 'latest'],
        imageSizeInBytes: config.size + (layers[0]?.size ?? 0),
        imagePushedAt: pushedAt,
        imageManifestMediaType: IMAGE_TYPE,
        artifactMediaType: 'application/vnd.oci.image.config.v1+json',
        imageStatus: 'ACTIVE',
      },
    ]);
  });

  test('a moved tag leaves the older image without one', async () => {
    const older = await local.push('shop', 'latest', 'one');
    const newer = await local.push('shop', 'latest', 'two');
    const untagged = await describeImages({ filter: { tagStatus: 'UNTAGGED' } });
    expect(untagged.imageDetails?.map(({ imageDigest }) => imageDigest)).toEqual([older.digest]);
    const byTag = await describeImages({ imageIds: [{ imageTag: 'latest' }] });
    expect(byTag.imageDetails?.map(({ imageDigest }) => imageDigest)).toEqual([newer.digest]);
  });

  test('an image that is not there is an error to DescribeImages and a failure to BatchGetImage', async () => {
    const { digest, manifest } = await local.push('shop', 'v1', 'one');
    expect(await failureOf(describeImages({ imageIds: [{ imageTag: 'v9' }] }))).toMatchObject({
      name: 'ImageNotFoundException',
      message:
        "The image with imageId {imageDigest:'null', imageTag:'v9'} does not exist within the repository with name " +
        `'shop' in the registry with id '${ACCOUNT}'`,
    });
    const imageIds = [
      { imageTag: 'v1' },
      { imageTag: 'v9' },
      { imageDigest: 'x' },
      { imageTag: 'v1', imageDigest: ABSENT },
    ];
    const { images, failures } = await local.client.send(new BatchGetImageCommand({ repositoryName, imageIds }));
    expect(images).toEqual([
      {
        registryId: ACCOUNT,
        repositoryName,
        imageId: { imageDigest: digest, imageTag: 'v1' },
        imageManifest: manifest,
        imageManifestMediaType: IMAGE_TYPE,
      },
    ]);
    expect(failures?.map(({ failureCode }) => failureCode)).toEqual([
      'ImageNotFound',
      'InvalidImageDigest',
      'ImageTagDoesNotMatchDigest',
    ]);
  });

  test('images are listed and described page by page', async () => {
    const pushed = await Promise.all(['one', 'two', 'three'].map((text) => local.push('shop', text, text)));
    const pages = [];
    for await (const page of paginateDescribeImages({ client: local.client, pageSize: 2 }, { repositoryName })) {
      pages.push(page.imageDetails?.map(({ imageDigest }) => imageDigest) ?? []);
    }
    expect(pages.map((page) => page.length)).toEqual([2, 1]);
    expect(pages.flat().sort()).toEqual(pushed.map(({ digest }) => digest).sort());
    const listed = await local.client.send(new ListImagesCommand({ repositoryName, filter: { tagStatus: 'TAGGED' } }));
    expect(listed.imageIds?.map(({ imageTag }) => imageTag).sort()).toEqual(['one', 'three', 'two']);
  });

  test('archived images are left out unless they are asked for', async () => {
    await local.push('shop', 'v1', 'one');
    const imageId = { imageTag: 'v1' };
    await local.client.send(
      new UpdateImageStorageClassCommand({ repositoryName, imageId, targetStorageClass: 'ARCHIVE' }),
    );
    expect((await describeImages()).imageDetails).toEqual([]);
    const any = await describeImages({ filter: { imageStatus: 'ANY' } });
    expect(any.imageDetails).toMatchObject([{ imageTags: ['v1'], imageStatus: 'ARCHIVED' }]);
  });

  test('the availability of layers is that of the registry', async () => {
    const { manifest } = await local.push('shop', 'v1', 'one');
    const { layers } = JSON.parse(manifest) as { layers: [{ digest: string; size: number }] };
    const layerDigests = [layers[0].digest, ABSENT];
    const answer = await local.client.send(new BatchCheckLayerAvailabilityCommand({ repositoryName, layerDigests }));
    expect(answer.layers).toMatchObject([
      { layerAvailability: 'AVAILABLE', layerSize: layers[0].size },
      { layerAvailability: 'UNAVAILABLE' },
    ]);
  });
});

describe('retagging without a pull', () => {
  test('puts the same manifest under a second tag, and says so the second time', async () => {
    const { digest, manifest } = await local.push('shop', 'v1', 'one');
    const tagged = await putImage({ imageManifest: manifest, imageDigest: digest, imageTag: 'release-1' });
    expect(tagged.image?.imageId).toEqual({ imageDigest: digest, imageTag: 'release-1' });
    const pulled = await local.docker('/v2/shop/manifests/release-1', { method: 'HEAD' });
    expect(pulled.headers.get('docker-content-digest')).toBe(digest);
    const again = putImage({ imageManifest: manifest, imageTag: 'release-1' });
    expect((await failureOf(again)).name).toBe('ImageAlreadyExistsException');
  });

  test('respects immutable tags, and tells a conflict from what is there already', async () => {
    await local.client.send(new PutImageTagMutabilityCommand({ repositoryName, imageTagMutability: 'IMMUTABLE' }));
    const one = await local.push('shop', 'v1', 'one');
    const two = await local.push('shop', 'v2', 'two');
    const conflict = await failureOf(putImage({ imageManifest: two.manifest, imageTag: 'v1' }));
    expect(conflict).toMatchObject({
      name: 'ImageTagAlreadyExistsException',
      message: expect.stringContaining('because the tag is immutable'),
    });
    const present = await failureOf(putImage({ imageManifest: one.manifest, imageTag: 'v1' }));
    expect(present.name).toBe('ImageAlreadyExistsException');
  });

  test('refuses a manifest that is not what its digest says, or whose parts are missing', async () => {
    const { manifest } = await local.push('shop', 'v1', 'one');
    const mismatch = putImage({ imageManifest: manifest, imageDigest: ABSENT, imageTag: 'x' });
    expect((await failureOf(mismatch)).name).toBe('ImageDigestDoesNotMatchException');
    const orphan = JSON.stringify({ config: { digest: ABSENT, size: 1 } });
    expect((await failureOf(putImage({ imageManifest: orphan }))).name).toBe('LayersNotFoundException');
    const index = JSON.stringify({ mediaType: INDEX_TYPE, manifests: [{ digest: ABSENT }] });
    expect((await failureOf(putImage({ imageManifest: index }))).name).toBe('ReferencedImagesNotFoundException');
  });
});

describe('deleting images', () => {
  const remove = (...imageIds: { imageTag?: string; imageDigest?: string }[]) =>
    local.client.send(new BatchDeleteImageCommand({ repositoryName, imageIds }));

  test('by tag keeps the image until its last tag is gone', async () => {
    const { digest } = await local.push('shop', 'v1', 'one');
    await local.push('shop', 'v2', 'one');
    expect((await remove({ imageTag: 'v1' })).imageIds).toEqual([{ imageDigest: digest, imageTag: 'v1' }]);
    expect((await local.docker('/v2/shop/manifests/v1')).status).toBe(404);
    expect((await local.docker(`/v2/shop/manifests/${digest}`)).status).toBe(200);
    await remove({ imageTag: 'v2' });
    expect((await local.docker(`/v2/shop/manifests/${digest}`)).status).toBe(404);
    expect((await describeImages()).imageDetails).toEqual([]);
    expect((await local.push('shop', 'v1', 'one')).response.status).toBe(201);
    expect((await local.docker('/v2/shop/manifests/v1')).status).toBe(200);
  });

  test('by digest takes all its tags, and reports what is not there', async () => {
    const { digest } = await local.push('shop', 'v1', 'one');
    await local.push('shop', 'v2', 'one');
    const { imageIds, failures } = await remove({ imageDigest: digest }, { imageTag: 'v9' });
    expect(imageIds?.map(({ imageTag }) => imageTag)).toEqual(['v1', 'v2']);
    expect(failures).toMatchObject([{ imageId: { imageTag: 'v9' }, failureCode: 'ImageNotFound' }]);
  });

  test('keeps what an index still refers to', async () => {
    const { digest, manifest } = await local.push('shop', undefined, 'one');
    const index = JSON.stringify({ mediaType: INDEX_TYPE, manifests: [{ digest, size: manifest.length }] });
    await putImage({ imageManifest: index, imageTag: 'multi' });
    const { failures } = await remove({ imageDigest: digest });
    expect(failures).toMatchObject([
      {
        failureCode: 'ImageReferencedByManifestList',
        failureReason: `Requested image referenced by manifest list: [${digestOf(Buffer.from(index))}]`,
      },
    ]);
    const { imageDetails } = await describeImages({ imageIds: [{ imageTag: 'multi' }, { imageDigest: digest }] });
    expect(imageDetails?.[0]?.imageSizeInBytes).toBe(imageDetails?.[1]?.imageSizeInBytes);
  });
});
