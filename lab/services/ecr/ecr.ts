import type { IncomingMessage, ServerResponse } from 'node:http';
import type { LabClock } from '../../model/clock.js';
import { type Input, type Operation, type Service, ServiceError } from '../../wire/service.js';
import { numberWithin, page, records, requiredText, text, texts } from '../input.js';
import { imageOperations } from './image-operations.js';
import { Images } from './images.js';
import { createRegistry } from './registry.js';
import {
  invalidParameter,
  Repositories,
  type Repository,
  repositoryOf,
  type TagMutability,
  type TagPolicy,
} from './repositories.js';
import { Tokens } from './tokens.js';
import { Upstream } from './upstream.js';

export interface EcrOptions {
  readonly clock: LabClock;
  readonly region: string;
  readonly account: string;
  /** What image names begin with, and where `registry` is reached: `127.0.0.1:5000`. */
  readonly registryHost: string;
  /** URL of a plain docker registry, without authentication and with deletes allowed. */
  readonly upstream: string;
}

export interface Ecr {
  readonly service: Service;
  /** Handles the requests of docker clients; listens where `registryHost` leads. */
  readonly registry: (request: IncomingMessage, response: ServerResponse) => void;
  readonly repositories: Repositories;
  /** The docker logins issued so far; a fault can end them. */
  readonly tokens: Tokens;
}

const MUTABILITIES: readonly string[] = [
  'MUTABLE',
  'IMMUTABLE',
  'IMMUTABLE_WITH_EXCLUSION',
  'MUTABLE_WITH_EXCLUSION',
] satisfies TagMutability[];

const EXCLUSION = /^[0-9a-zA-Z._*-]{1,128}$/;
const MOST_EXCLUSIONS = 5;

/** The lab's ECR: the API, and the registry that docker talks to, before one plain registry that keeps the bytes. */
export function createEcr({ clock, region, account, registryHost, upstream: url }: EcrOptions): Ecr {
  const upstream = new Upstream(url);
  const images = new Images(upstream, clock);
  const repositories = new Repositories(account);
  const tokens = new Tokens(clock);
  const names = { region, account, registryHost };
  const service: Service = {
    id: 'ecr',
    protocol: 'json',
    targetPrefix: 'AmazonEC2ContainerRegistry_V20150921',
    operations: {
      GetAuthorizationToken: () => authorization(tokens, registryHost),
      ...repositoryOperations({ repositories, images, clock, names }),
      ...lifecycleOperations(repositories),
      ...imageOperations({ repositories, images, upstream }),
    },
  };
  const registry = createRegistry({ clock, region, registryHost, repositories, images, tokens, upstream });
  return { service, registry, repositories, tokens };
}

function authorization(tokens: Tokens, registryHost: string) {
  const { password, expiresAt } = tokens.issue();
  const authorizationToken = Buffer.from(`AWS:${password}`).toString('base64');
  const proxyEndpoint = `http://${registryHost}`;
  return { authorizationData: [{ authorizationToken, expiresAt: new Date(expiresAt), proxyEndpoint }] };
}

interface Names {
  readonly region: string;
  readonly account: string;
  readonly registryHost: string;
}

function repositoryOperations(options: {
  readonly repositories: Repositories;
  readonly images: Images;
  readonly clock: LabClock;
  readonly names: Names;
}): Record<string, Operation> {
  const { repositories, images, clock, names } = options;

  const create: Operation = (input) => {
    const scanning = input.imageScanningConfiguration as Input | undefined;
    const repository = repositories.create(requiredText(input, 'repositoryName'), {
      createdAt: clock.now(),
      tagPolicy: tagPolicyFrom(input),
      scanOnPush: scanning?.scanOnPush === true,
    });
    return { repository: shown(repository, names) };
  };

  const describe: Operation = (input) => {
    const asked = texts(input, 'repositoryNames');
    const registryId = text(input, 'registryId');
    if (asked.length > 0) {
      return { repositories: asked.map((name) => shown(repositories.get(name, registryId), names)) };
    }
    const { items, nextToken } = page(repositories.all(), {
      key: ({ name }) => name,
      limit: numberWithin(input, 'maxResults', { least: 1, most: 1000, fallback: 100 }),
      token: text(input, 'nextToken'),
      invalidToken: () => invalidParameter('nextToken', 'must be a token of an earlier answer'),
    });
    return { repositories: items.map((repository) => shown(repository, names)), nextToken };
  };

  const remove: Operation = async (input) => {
    const repository = repositoryOf(repositories, input);
    const held = await images.all(repository);
    if (held.length > 0 && input.force !== true) throw notEmpty(repository, names.account);
    for (const { digest } of held) await images.remove(repository, digest);
    repositories.delete(repository.name);
    return { repository: shown(repository, names) };
  };

  const putTagMutability: Operation = (input) => {
    const repository = repositoryOf(repositories, input);
    repository.tagPolicy = tagPolicyFrom(input);
    return { registryId: names.account, repositoryName: repository.name, ...shownPolicy(repository.tagPolicy) };
  };

  return {
    CreateRepository: create,
    DescribeRepositories: describe,
    DeleteRepository: remove,
    PutImageTagMutability: putTagMutability,
  };
}

function lifecycleOperations(repositories: Repositories): Record<string, Operation> {
  const answer = ({ name, lifecyclePolicy }: Repository) => ({
    registryId: repositories.account,
    repositoryName: name,
    lifecyclePolicyText: lifecyclePolicy,
  });
  return {
    PutLifecyclePolicy: (input) => {
      const repository = repositoryOf(repositories, input);
      repository.lifecyclePolicy = requiredText(input, 'lifecyclePolicyText');
      return answer(repository);
    },
    GetLifecyclePolicy: (input) => {
      const repository = repositoryOf(repositories, input);
      if (repository.lifecyclePolicy === undefined) throw noLifecyclePolicy(repository, repositories.account);
      return answer(repository);
    },
  };
}

function tagPolicyFrom(input: Input): TagPolicy {
  const mutability = text(input, 'imageTagMutability') ?? 'MUTABLE';
  const exclusions = records(input, 'imageTagMutabilityExclusionFilters').map(({ filter }) => String(filter));
  if (!MUTABILITIES.includes(mutability)) {
    throw invalidParameter('imageTagMutability', `must be one of ${MUTABILITIES.join(', ')}`);
  }
  const least = mutability.endsWith('_WITH_EXCLUSION') ? 1 : 0;
  const most = least * MOST_EXCLUSIONS;
  const fits = exclusions.length >= least && exclusions.length <= most;
  if (!fits || !exclusions.every((exclusion) => EXCLUSION.test(exclusion))) {
    const rule = `must be ${least} to ${most} filters of the form ${EXCLUSION.source}`;
    throw invalidParameter('imageTagMutabilityExclusionFilters', rule);
  }
  return { mutability: mutability as TagMutability, exclusions };
}

function shown({ name, createdAt, tagPolicy, scanOnPush }: Repository, { region, account, registryHost }: Names) {
  return {
    repositoryArn: `arn:aws:ecr:${region}:${account}:repository/${name}`,
    registryId: account,
    repositoryName: name,
    repositoryUri: `${registryHost}/${name}`,
    createdAt: new Date(createdAt),
    ...shownPolicy(tagPolicy),
    imageScanningConfiguration: { scanOnPush },
    encryptionConfiguration: { encryptionType: 'AES256' },
  };
}

function shownPolicy({ mutability, exclusions }: TagPolicy) {
  const filters = exclusions.map((filter) => ({ filterType: 'WILDCARD', filter }));
  return {
    imageTagMutability: mutability,
    imageTagMutabilityExclusionFilters: filters.length > 0 ? filters : undefined,
  };
}

function notEmpty({ name }: Repository, account: string): ServiceError {
  return new ServiceError(
    'RepositoryNotEmptyException',
    `The repository with name '${name}' in registry with id '${account}' cannot be deleted because it still contains images`,
  );
}

function noLifecyclePolicy({ name }: Repository, account: string): ServiceError {
  return new ServiceError(
    'LifecyclePolicyNotFoundException',
    `Lifecycle policy does not exist for the repository with name '${name}' in the registry with id '${account}'`,
  );
}
