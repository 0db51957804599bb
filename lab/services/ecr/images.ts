import { createHash } from 'node:crypto';
import type { LabClock } from '../../model/clock.js';
import { ServiceError } from '../../wire/service.js';
import { type Image, isImmutable, type Repository } from './repositories.js';
import type { Manifest, Upstream } from './upstream.js';

export interface Push {
  readonly body: Buffer;
  /** Read from the manifest where it is not given. */
  readonly mediaType?: string | undefined;
  readonly tag: string | undefined;
  /** The digest that the caller holds the manifest to have. */
  readonly digest?: string | undefined;
  /** PutImage refuses an image that is there under that tag; a push of docker does not. */
  readonly ifPresent: 'accept' | 'refuse';
}

/** The images of the repositories: manifests in the upstream registry, what ECR knows of them besides kept here. */
export class Images {
  readonly #upstream: Upstream;
  readonly #clock: LabClock;

  constructor(upstream: Upstream, clock: LabClock) {
    this.#upstream = upstream;
    this.#clock = clock;
  }

  /**
   * Stores a manifest and moves its tag. Throws ImageTagAlreadyExistsException, ImageAlreadyExistsException,
   * ImageDigestDoesNotMatchException, and the upstream's UpstreamRefusal where layers or members are missing.
   */
  push(repository: Repository, push: Push): Promise<Image> {
    return repository.exclusively(async () => {
      const { body, tag } = push;
      const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`;
      await this.#checkPush(repository, push, digest);
      const mediaType = push.mediaType ?? mediaTypeOf(body);
      await this.#upstream.putManifest(repository.name, tag ?? digest, { mediaType, body });
      return this.#record(repository, { digest, mediaType, body }, tag);
    });
  }

  async #checkPush(repository: Repository, push: Push, digest: string): Promise<void> {
    const { tag, ifPresent } = push;
    if (push.digest !== undefined && push.digest !== digest) {
      const message = `Provided digest '${push.digest}' does not match the digest '${digest}' of the image manifest`;
      throw new ServiceError('ImageDigestDoesNotMatchException', message);
    }
    const present = await this.find(repository, tag ?? digest);
    if (!present) return;
    if (ifPresent === 'refuse' && present.digest === digest) throw alreadyExists(repository, digest, tag);
    if (tag !== undefined && isImmutable(repository.tagPolicy, tag)) throw tagAlreadyExists(repository, tag);
  }

  /** The image that a tag or a digest names. One that only the upstream registry knows is taken over. */
  async find(repository: Repository, reference: string): Promise<Image | undefined> {
    const digest = isDigest(reference) ? reference : repository.tags.get(reference);
    const known = digest === undefined ? undefined : repository.images.get(digest);
    if (known || repository.removedTags.has(reference)) return known;
    const manifest = await this.#upstream.manifest(repository.name, reference);
    if (!manifest) return undefined;
    // A push may have moved the tag while the upstream registry was asked.
    if (repository.tags.has(reference)) return this.find(repository, reference);
    return this.#record(repository, manifest, isDigest(reference) ? undefined : reference);
  }

  /** Every image, with those that were pushed past ECR. */
  async all(repository: Repository): Promise<Image[]> {
    for (const tag of await this.#upstream.tags(repository.name)) {
      if (!repository.tags.has(tag)) await this.find(repository, tag);
    }
    return [...repository.images.values()];
  }

  manifest(repository: Repository, image: Image): Promise<Manifest | undefined> {
    return this.#upstream.manifest(repository.name, image.digest);
  }

  /** Takes a tag away, and with its last tag the image. */
  async untag(repository: Repository, tag: string): Promise<void> {
    const digest = repository.tags.get(tag);
    repository.tags.delete(tag);
    repository.removedTags.add(tag);
    if (digest !== undefined && repository.tagsOf(digest).length === 0) await this.remove(repository, digest);
  }

  /** Removes an image with all its tags. */
  async remove(repository: Repository, digest: string): Promise<void> {
    for (const tag of repository.tagsOf(digest)) {
      repository.tags.delete(tag);
      repository.removedTags.add(tag);
    }
    repository.images.delete(digest);
    await this.#upstream.deleteManifest(repository.name, digest);
  }

  #record(repository: Repository, manifest: Manifest, tag: string | undefined): Image {
    const { digest } = manifest;
    const image = repository.images.get(digest) ?? describe(repository, manifest, this.#clock.now());
    repository.images.set(digest, image);
    if (tag !== undefined) {
      repository.tags.set(tag, digest);
      repository.removedTags.delete(tag);
    }
    return image;
  }
}

export function isDigest(reference: string): boolean {
  return reference.includes(':');
}

interface ManifestContent {
  readonly mediaType?: string;
  readonly artifactType?: string;
  readonly config?: { readonly mediaType: string; readonly size: number };
  readonly layers?: readonly { readonly size: number }[];
  readonly manifests?: readonly { readonly digest: string }[];
}

function describe(repository: Repository, { digest, mediaType, body }: Manifest, now: number): Image {
  const { artifactType, config, layers = [], manifests = [] } = JSON.parse(body.toString()) as ManifestContent;
  const members = manifests.map((member) => member.digest);
  const own = layers.reduce((sum, layer) => sum + layer.size, config?.size ?? 0);
  const largest = Math.max(0, ...members.map((member) => repository.images.get(member)?.sizeBytes ?? 0));
  return {
    digest,
    mediaType,
    artifactMediaType: artifactType ?? config?.mediaType,
    sizeBytes: members.length > 0 ? largest : own,
    members,
    pushedAt: now,
    status: 'ACTIVE',
  };
}

function mediaTypeOf(body: Buffer): string {
  const { mediaType, manifests } = JSON.parse(body.toString()) as ManifestContent;
  const oci = manifests ? 'application/vnd.oci.image.index.v1+json' : 'application/vnd.oci.image.manifest.v1+json';
  return mediaType ?? oci;
}

function alreadyExists({ name }: Repository, digest: string, tag: string | undefined): ServiceError {
  const which = tag === undefined ? '' : ` and tag '${tag}'`;
  return new ServiceError(
    'ImageAlreadyExistsException',
    `Image with digest '${digest}'${which} already exists in the repository with name '${name}'`,
  );
}

function tagAlreadyExists({ name }: Repository, tag: string): ServiceError {
  return new ServiceError(
    'ImageTagAlreadyExistsException',
    `The image tag '${tag}' already exists in the '${name}' repository and cannot be overwritten because the tag is immutable.`,
  );
}
