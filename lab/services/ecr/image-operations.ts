import { type Input, type Operation, ServiceError } from '../../wire/service.js';
import { numberWithin, page, records, requiredText, text, texts } from '../input.js';
import type { Images } from './images.js';
import { type Image, invalidParameter, type Repositories, type Repository, repositoryOf } from './repositories.js';
import { type Upstream, UpstreamRefusal } from './upstream.js';

export interface ImageOperationOptions {
  readonly repositories: Repositories;
  readonly images: Images;
  readonly upstream: Upstream;
}

interface ImageId {
  readonly imageDigest: string | undefined;
  readonly imageTag: string | undefined;
}

type Failure = { readonly imageId: ImageId; readonly failureCode: string; readonly failureReason: string };
type Found = { readonly imageId: ImageId; readonly image: Image };

const MOST_IMAGE_IDS = 100;

/** ECR's operations on images: what the upstream registry holds, with what ECR adds. */
export function imageOperations({ repositories, images, upstream }: ImageOperationOptions): Record<string, Operation> {
  const { account } = repositories;
  const repositoryFrom = (input: Input) => repositoryOf(repositories, input);

  const describe: Operation = async (input) => {
    const repository = repositoryFrom(input);
    const asked = imageIds(input);
    if (asked.length > 0) return { imageDetails: await describeEach(repository, asked) };
    const filter = (input.filter ?? {}) as Input;
    const found = (await images.all(repository)).filter((image) => passes(repository, image, filter));
    const { items, nextToken } = page(
      found,
      paging(input, ({ digest }: Image) => digest),
    );
    return { imageDetails: items.map((image) => detail(repository, image, account)), nextToken };
  };

  async function describeEach(repository: Repository, asked: readonly ImageId[]) {
    const results = await Promise.all(asked.map((id) => lookUp(repository, id)));
    return results.map((result) => {
      if ('failureCode' in result) throw imageNotFound(repository, result.imageId, account);
      return detail(repository, result.image, account);
    });
  }

  const list: Operation = async (input) => {
    const repository = repositoryFrom(input);
    const { tagStatus } = (input.filter ?? {}) as Input;
    const ids = (await images.all(repository)).flatMap(({ digest }) => idsOf(repository, digest));
    const wanted = ids.filter(({ imageTag }) => hasTagStatus(imageTag !== undefined, tagStatus));
    const key = ({ imageDigest, imageTag }: ImageId) => `${imageDigest} ${imageTag ?? ''}`;
    const { items, nextToken } = page(wanted, paging(input, key));
    return { imageIds: items, nextToken };
  };

  async function lookUp(repository: Repository, imageId: ImageId): Promise<Found | Failure> {
    const { imageDigest, imageTag } = imageId;
    if (imageDigest !== undefined && !/^sha256:[0-9a-f]{64}$/.test(imageDigest)) {
      return failure(imageId, 'InvalidImageDigest', 'Invalid image digest');
    }
    const reference = imageTag ?? imageDigest;
    if (reference === undefined) return failure(imageId, 'MissingDigestAndTag', 'Missing image digest and tag');
    const image = await images.find(repository, reference);
    if (!image) return failure(imageId, 'ImageNotFound', 'Requested image not found');
    if (imageDigest !== undefined && image.digest !== imageDigest) {
      return failure(imageId, 'ImageTagDoesNotMatchDigest', 'Image tag does not match digest');
    }
    return { imageId, image };
  }

  const get: Operation = async (input) => {
    const repository = repositoryFrom(input);
    const results = await Promise.all(imageIds(input).map((id) => getOne(repository, id)));
    return {
      images: results.filter((result) => !('failureCode' in result)),
      failures: results.filter((result) => 'failureCode' in result),
    };
  };

  async function getOne(repository: Repository, id: ImageId) {
    const result = await lookUp(repository, id);
    if ('failureCode' in result) return result;
    const { image } = result;
    if (image.status !== 'ACTIVE') return failure(id, 'ImageInaccessible', 'Requested image is archived');
    const manifest = await images.manifest(repository, image);
    if (!manifest) return failure(id, 'ImageNotFound', 'Requested image not found');
    return imageAnswer(repository, manifest.body.toString(), { image, tag: id.imageTag }, account);
  }

  const put: Operation = async (input) => {
    const repository = repositoryFrom(input);
    const manifest = requiredText(input, 'imageManifest');
    const tag = text(input, 'imageTag');
    const push = {
      body: Buffer.from(manifest),
      mediaType: text(input, 'imageManifestMediaType'),
      digest: text(input, 'imageDigest'),
      tag,
      ifPresent: 'refuse',
    } as const;
    const image = await images.push(repository, push).catch((error: unknown) => {
      throw error instanceof UpstreamRefusal ? refused(error, manifest) : error;
    });
    return { image: imageAnswer(repository, manifest, { image, tag }, account) };
  };

  const remove: Operation = async (input) => {
    const repository = repositoryFrom(input);
    const removed: ImageId[] = [];
    const failures: Failure[] = [];
    for (const id of imageIds(input)) {
      const result = await repository.exclusively(() => removeOne(repository, id));
      if ('failureCode' in result) failures.push(result);
      else removed.push(...result.removed);
    }
    return { imageIds: removed, failures };
  };

  async function removeOne(repository: Repository, id: ImageId): Promise<Failure | { readonly removed: ImageId[] }> {
    const result = await lookUp(repository, id);
    if ('failureCode' in result) return result;
    const { digest } = result.image;
    const tags = repository.tagsOf(digest);
    const only = id.imageTag !== undefined && tags.length > 1;
    const holders = only ? [] : holdersOf(repository, digest);
    if (holders.length > 0) {
      const reason = `Requested image referenced by manifest list: [${holders.join(', ')}]`;
      return failure(id, 'ImageReferencedByManifestList', reason);
    }
    const removed = id.imageTag === undefined ? idsOf(repository, digest) : [{ ...id, imageDigest: digest }];
    if (id.imageTag === undefined) await images.remove(repository, digest);
    else await images.untag(repository, id.imageTag);
    return { removed };
  }

  const checkLayers: Operation = async (input) => {
    const repository = repositoryFrom(input);
    const layers = await Promise.all(
      texts(input, 'layerDigests').map(async (layerDigest) => {
        const layerSize = await upstream.blobSize(repository.name, layerDigest);
        return { layerDigest, layerAvailability: layerSize === undefined ? 'UNAVAILABLE' : 'AVAILABLE', layerSize };
      }),
    );
    return { layers, failures: [] };
  };

  const updateStorageClass: Operation = async (input) => {
    const repository = repositoryFrom(input);
    const [imageId = { imageDigest: undefined, imageTag: undefined }] = imageIds({ imageIds: [input.imageId] });
    const result = await lookUp(repository, imageId);
    if ('failureCode' in result) throw imageNotFound(repository, imageId, account);
    result.image.status = text(input, 'targetStorageClass') === 'ARCHIVE' ? 'ARCHIVED' : 'ACTIVE';
    return { registryId: account, repositoryName: repository.name, imageId, imageStatus: result.image.status };
  };

  return {
    DescribeImages: describe,
    ListImages: list,
    BatchGetImage: get,
    PutImage: put,
    BatchDeleteImage: remove,
    BatchCheckLayerAvailability: checkLayers,
    UpdateImageStorageClass: updateStorageClass,
  };
}

function imageIds(input: Input): ImageId[] {
  const ids = records(input, 'imageIds');
  if (ids.length > MOST_IMAGE_IDS) throw invalidParameter('imageIds', `must have at most ${MOST_IMAGE_IDS} items`);
  return ids.map((id) => ({ imageDigest: text(id, 'imageDigest'), imageTag: text(id, 'imageTag') }));
}

function idsOf(repository: Repository, digest: string): ImageId[] {
  const tags = repository.tagsOf(digest);
  if (tags.length === 0) return [{ imageDigest: digest, imageTag: undefined }];
  return tags.map((imageTag) => ({ imageDigest: digest, imageTag }));
}

function holdersOf(repository: Repository, digest: string): string[] {
  return [...repository.images.values()].flatMap((image) => (image.members.includes(digest) ? [image.digest] : []));
}

/** Archived images are left out unless they are asked for. */
function passes(repository: Repository, image: Image, { tagStatus, imageStatus = 'ACTIVE' }: Input): boolean {
  const inStatus = imageStatus === 'ANY' || image.status === imageStatus;
  return inStatus && hasTagStatus(repository.tagsOf(image.digest).length > 0, tagStatus);
}

function hasTagStatus(tagged: boolean, tagStatus: unknown): boolean {
  return tagStatus === undefined || tagStatus === 'ANY' || (tagStatus === 'TAGGED') === tagged;
}

function paging<T>(input: Input, key: (item: T) => string) {
  return {
    key,
    limit: numberWithin(input, 'maxResults', { least: 1, most: 1000, fallback: 100 }),
    token: text(input, 'nextToken'),
    invalidToken: () => invalidParameter('nextToken', 'must be a token of an earlier answer'),
  };
}

function detail(repository: Repository, image: Image, account: string) {
  const tags = repository.tagsOf(image.digest);
  return {
    registryId: account,
    repositoryName: repository.name,
    imageDigest: image.digest,
    imageTags: tags.length > 0 ? tags : undefined,
    imageSizeInBytes: image.sizeBytes,
    imagePushedAt: new Date(image.pushedAt),
    imageManifestMediaType: image.mediaType,
    artifactMediaType: image.artifactMediaType,
    lastRecordedPullTime: image.pulledAt === undefined ? undefined : new Date(image.pulledAt),
    imageStatus: image.status,
  };
}

function imageAnswer(
  repository: Repository,
  imageManifest: string,
  { image, tag }: { readonly image: Image; readonly tag: string | undefined },
  account: string,
) {
  return {
    registryId: account,
    repositoryName: repository.name,
    imageId: { imageDigest: image.digest, imageTag: tag },
    imageManifest,
    imageManifestMediaType: image.mediaType,
  };
}

function failure(imageId: ImageId, failureCode: string, failureReason: string): Failure {
  return { imageId, failureCode, failureReason };
}

function refused({ body }: UpstreamRefusal, manifest: string): ServiceError {
  if (!body.includes('BLOB_UNKNOWN')) {
    return new ServiceError('InvalidParameterException', `Invalid parameter at 'imageManifest': ${body}`);
  }
  return manifest.includes('"manifests"')
    ? new ServiceError('ReferencedImagesNotFoundException', 'One or more images referenced by the index are missing.')
    : new ServiceError('LayersNotFoundException', 'One or more layers of the image are missing.');
}

function imageNotFound({ name }: Repository, { imageDigest, imageTag }: ImageId, account: string): ServiceError {
  const quoted = (value: string | undefined) => `'${value ?? 'null'}'`;
  return new ServiceError(
    'ImageNotFoundException',
    `The image with imageId {imageDigest:${quoted(imageDigest)}, imageTag:${quoted(imageTag)}} does not exist within ` +
      `the repository with name '${name}' in the registry with id '${account}'`,
  );
}
