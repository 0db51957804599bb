import {
  CreateRepositoryCommand,
  DescribeImagesCommand,
  DescribeRepositoriesCommand,
  type ECRClient,
  type Repository as EcrRepository,
  GetAuthorizationTokenCommand,
} from '@aws-sdk/client-ecr';
import { problem } from '../problem.js';
import { toProblems } from './errors.js';
import type { Registry, Repository } from './registry.js';

/** Tags that move: everything else in a repository that we create is immutable. */
const MOVING_TAGS = 'cache*';

/** The registry of an account and region, over ECR. */
export function createRegistry(client: ECRClient): Registry {
  return {
    describe: (name) => describe(client, name),
    create: (name) => create(client, name),
    digestOf: (name, tag) => digestOf(client, name, tag),
    login: () => login(client),
  };
}

async function describe(client: ECRClient, name: string): Promise<Repository> {
  try {
    const { repositories } = await client.send(new DescribeRepositoriesCommand({ repositoryNames: [name] }));
    return toRepository(repositories?.[0]);
  } catch (error) {
    if (isNamed(error, 'RepositoryNotFoundException')) {
      throw problem('REPOSITORY_NOT_FOUND', `There is no ECR repository '${name}' in this account and region.`, {
        fix: `Create it (aws ecr create-repository --repository-name ${name}) or set create-repository: true.`,
      });
    }
    throw toProblems(error, 'ecr:DescribeRepositories');
  }
}

async function create(client: ECRClient, name: string): Promise<Repository> {
  try {
    const { repository } = await client.send(
      new CreateRepositoryCommand({
        repositoryName: name,
        imageTagMutability: 'IMMUTABLE_WITH_EXCLUSION',
        imageTagMutabilityExclusionFilters: [{ filterType: 'WILDCARD', filter: MOVING_TAGS }],
        imageScanningConfiguration: { scanOnPush: true },
      }),
    );
    return toRepository(repository);
  } catch (error) {
    if (isNamed(error, 'RepositoryAlreadyExistsException')) return describe(client, name);
    throw toProblems(error, 'ecr:CreateRepository');
  }
}

async function digestOf(client: ECRClient, name: string, tag: string): Promise<string | undefined> {
  try {
    const request = new DescribeImagesCommand({ repositoryName: name, imageIds: [{ imageTag: tag }] });
    return (await client.send(request)).imageDetails?.[0]?.imageDigest;
  } catch (error) {
    if (isNamed(error, 'ImageNotFoundException') || isNamed(error, 'RepositoryNotFoundException')) return undefined;
    throw toProblems(error, 'ecr:DescribeImages');
  }
}

async function login(client: ECRClient): Promise<{ registry: string; password: string }> {
  try {
    const { authorizationData } = await client.send(new GetAuthorizationTokenCommand({}));
    const { authorizationToken = '', proxyEndpoint = '' } = authorizationData?.[0] ?? {};
    const password = Buffer.from(authorizationToken, 'base64').toString().replace(/^AWS:/, '');
    return { registry: proxyEndpoint.replace(/^https?:\/\//, ''), password };
  } catch (error) {
    throw toProblems(error, 'ecr:GetAuthorizationToken');
  }
}

function toRepository(found: EcrRepository | undefined): Repository {
  const { repositoryName, repositoryUri, repositoryArn, registryId } = found ?? {};
  if (!repositoryName || !repositoryUri || !repositoryArn) {
    throw problem('AWS_UNEXPECTED_ANSWER', 'ECR described a repository without name, URI or ARN.');
  }
  return { name: repositoryName, uri: repositoryUri, arn: repositoryArn, account: registryId ?? '' };
}

function isNamed(error: unknown, name: string): boolean {
  return error instanceof Error && error.name === name;
}
