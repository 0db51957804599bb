import { type Input, ServiceError } from '../../wire/service.js';
import { requiredText, text } from '../input.js';

export type TagMutability = 'MUTABLE' | 'IMMUTABLE' | 'IMMUTABLE_WITH_EXCLUSION' | 'MUTABLE_WITH_EXCLUSION';

export interface TagPolicy {
  readonly mutability: TagMutability;
  /** Tag patterns with `*`, excepted from `mutability`. */
  readonly exclusions: readonly string[];
}

/** What ECR knows of an image besides its manifest. Times in milliseconds since the epoch. */
export interface Image {
  readonly digest: string;
  readonly mediaType: string;
  readonly artifactMediaType: string | undefined;
  /** Compressed: configuration and layers; of an index, its largest member. */
  readonly sizeBytes: number;
  /** Digests that an index refers to. */
  readonly members: readonly string[];
  readonly pushedAt: number;
  pulledAt?: number;
  status: 'ACTIVE' | 'ARCHIVED';
}

const NAME = /^(?:[a-z0-9]+(?:[._-][a-z0-9]+)*\/)*[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/;

/** A repository of the lab's ECR: which tags name which images. The manifests themselves lie in the upstream registry. */
export class Repository {
  readonly images = new Map<string, Image>();
  readonly tags = new Map<string, string>();
  /** Tags that were deleted here. A registry knows no such thing: it would show them again with their image. */
  readonly removedTags: Set<string>;
  lifecyclePolicy: string | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    readonly name: string,
    readonly createdAt: number,
    public tagPolicy: TagPolicy,
    readonly scanOnPush: boolean,
    removedTags: Set<string>,
  ) {
    this.removedTags = removedTags;
  }

  /** Runs `work` after all that was given before it: of two pushes of one immutable tag only the first may win. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }

  tagsOf(digest: string): string[] {
    return [...this.tags].flatMap(([tag, named]) => (named === digest ? [tag] : []));
  }
}

/** All repositories of the lab's registry, and ECR's words for those that are not there. */
export class Repositories {
  readonly #repositories = new Map<string, Repository>();
  /** Outlives a repository, since the upstream registry does too. */
  readonly #removedTags = new Map<string, Set<string>>();

  constructor(readonly account: string) {}

  all(): Repository[] {
    return [...this.#repositories.values()];
  }

  find(name: string): Repository | undefined {
    return this.#repositories.get(name);
  }

  /** Throws RepositoryNotFoundException. */
  get(name: string, registryId = this.account): Repository {
    const repository = registryId === this.account ? this.find(name) : undefined;
    if (repository) return repository;
    throw new ServiceError('RepositoryNotFoundException', notFoundMessage(name, registryId));
  }

  /** Throws RepositoryAlreadyExistsException and InvalidParameterException. */
  create(
    name: string,
    options: { readonly createdAt: number; readonly tagPolicy?: TagPolicy; readonly scanOnPush?: boolean },
  ): Repository {
    if (name.length < 2 || name.length > 256 || !NAME.test(name)) {
      throw invalidParameter('repositoryName', `must satisfy regular expression '${NAME.source.slice(1, -1)}'`);
    }
    const message = `The repository with name '${name}' already exists in the registry with id '${this.account}'`;
    if (this.find(name)) throw new ServiceError('RepositoryAlreadyExistsException', message);
    const removedTags = this.#removedTags.get(name) ?? new Set<string>();
    this.#removedTags.set(name, removedTags);
    const tagPolicy = options.tagPolicy ?? { mutability: 'MUTABLE', exclusions: [] };
    const repository = new Repository(name, options.createdAt, tagPolicy, options.scanOnPush ?? false, removedTags);
    this.#repositories.set(name, repository);
    return repository;
  }

  delete(name: string): void {
    this.#repositories.delete(name);
  }
}

/** The repository that an operation's input names. Throws RepositoryNotFoundException. */
export function repositoryOf(repositories: Repositories, input: Input): Repository {
  return repositories.get(requiredText(input, 'repositoryName'), text(input, 'registryId'));
}

export function notFoundMessage(name: string, account: string): string {
  return `The repository with name '${name}' does not exist in the registry with id '${account}'`;
}

export function invalidParameter(member: string, rule: string): ServiceError {
  return new ServiceError(
    'InvalidParameterException',
    `Invalid parameter at '${member}' failed to satisfy constraint: '${rule}'`,
  );
}

export function isImmutable({ mutability, exclusions }: TagPolicy, tag: string): boolean {
  const excluded = exclusions.some((pattern) => wildcard(pattern).test(tag));
  switch (mutability) {
    case 'MUTABLE':
      return false;
    case 'IMMUTABLE':
      return true;
    case 'IMMUTABLE_WITH_EXCLUSION':
      return !excluded;
    case 'MUTABLE_WITH_EXCLUSION':
      return excluded;
    default:
      return mutability satisfies never;
  }
}

function wildcard(pattern: string): RegExp {
  const parts = pattern.split('*').map((part) => part.replace(/[.\\+?^${}()|[\]]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`);
}
