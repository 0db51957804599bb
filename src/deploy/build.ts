import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Repository } from '../aws/registry.js';
import { projectName, servicesToBuild } from '../compose/compile.js';
import type { CompiledRelease } from '../compose/model.js';
import type { ParsedCompose } from '../compose/parse.js';
import { type BuiltImage, bake } from '../image/bake.js';
import { login } from '../image/login.js';
import { problem } from '../problem.js';
import { pushBundle, writeBundle } from '../release/bundle.js';
import type { BuildOptions, DeployOptions } from './options.js';
import { compileRelease, type Resolved, repositoryName } from './resolve.js';
import type { World } from './world.js';

/** A release whose images and bundle are in the registry. */
export interface BuiltRelease {
  readonly id: string;
  /** Name of the ECR repository. */
  readonly repository: string;
  readonly compiled: CompiledRelease;
  /** Built or given, by service. */
  readonly images: { readonly [service: string]: BuiltImage };
  /** Reference of the bundle image, by digest. */
  readonly bundle: string;
  /** Host part of the image names, which the hosts log in to. */
  readonly registryHost: string;
}

/** Builds and pushes the images and the bundle of a release. Nothing on the hosts changes. */
export async function build(
  options: DeployOptions,
  resolved: Resolved,
  id: string,
  world: World,
): Promise<BuiltRelease> {
  const { compose, groups } = resolved;
  const repository = resolved.repository ?? (await world.registry.create(repositoryName(options)));
  const registryHost = repository.uri.slice(0, repository.uri.indexOf('/'));
  const credentials = await world.registry.login();
  world.mask(credentials.password);
  const session = await login({ registry: registryHost, password: credentials.password, docker: world.docker });
  try {
    const images = await imagesFor(options, { ...resolved, repository }, id, { ...world, docker: session.docker });
    const references = Object.fromEntries(Object.entries(images).map(([service, { ref }]) => [service, ref]));
    const compiled = compileRelease(options, compose, groups, references);
    const bundle = await shipBundle(
      options,
      compiled,
      { id, uri: repository.uri },
      { ...world, docker: session.docker },
    );
    return { id, repository: repository.name, compiled, images, bundle, registryHost };
  } finally {
    await session.logout();
  }
}

async function imagesFor(
  options: DeployOptions,
  { repository, compose: { parsed }, draft, fleet }: Resolved & { repository: Repository },
  id: string,
  world: World,
): Promise<{ readonly [service: string]: BuiltImage }> {
  const services = servicesToBuild(parsed);
  if (options.image) {
    const candidates = services.length > 0 ? services : draft.web.map(({ service }) => service);
    return givenImage(options.image, candidates, repository, world.registry);
  }
  const platforms = options.build.platforms.length > 0 ? options.build.platforms : platformsOf(fleet);
  return buildImages({ ...options.build, platforms }, { parsed, repository, tag: `release-${id}` }, world);
}

/** Builds and pushes every service of the compose file that has a build. */
export function buildImages(
  { args, secrets, target, platforms, cache }: BuildOptions,
  { parsed, repository, tag }: { parsed: ParsedCompose; repository: Repository; tag: string },
  { docker, log, signal }: Pick<World, 'docker' | 'log' | 'signal'>,
): Promise<{ readonly [service: string]: BuiltImage }> {
  return bake({
    parsed,
    services: servicesToBuild(parsed),
    repository,
    tag,
    buildArgs: args,
    buildSecrets: secrets,
    ...(target ? { target } : {}),
    platforms,
    cache,
    docker,
    log,
    signal,
  });
}

/** The hosts' own architectures; empty where EC2 may not be asked, and then the builder's is taken. */
function platformsOf(fleet: Resolved['fleet']): string[] {
  const names: { readonly [architecture: string]: string } = { x86_64: 'linux/amd64', arm64: 'linux/arm64' };
  return [...new Set(fleet.flatMap(({ architecture }) => names[architecture] ?? []))];
}

/** `image` stands for the one service that would be built, or else for the one behind the load balancer. */
async function givenImage(
  image: string,
  services: readonly string[],
  { name, uri }: Repository,
  registry: World['registry'],
): Promise<{ readonly [service: string]: BuiltImage }> {
  const [service, ...others] = services;
  if (service === undefined || others.length > 0) {
    throw problem('INPUT_INVALID', `Input 'image' names one image, but the compose file needs ${services.length}.`);
  }
  const [, repository, tag = '', given] = /^(.+?)(?::([\w][\w.-]*))?(?:@(sha256:[0-9a-f]{64}))?$/.exec(image) ?? [];
  if (repository !== uri) {
    throw problem('INPUT_INVALID', `Input 'image' is in ${repository}, but the repository of this deploy is ${uri}.`, {
      fix: 'Give an image of that repository, or name its repository in ecr-repository.',
    });
  }
  const digest = given ?? (await registry.digestOf(name, tag));
  if (digest === undefined) {
    throw problem('IMAGE_NOT_FOUND', `There is no image ${image}.`, {
      fix: 'Name a tag or digest that is in the repository.',
    });
  }
  return { [service]: { ref: `${uri}@${digest}`, digest, tag } };
}

async function shipBundle(
  options: DeployOptions,
  compiled: CompiledRelease,
  { id, uri }: { id: string; uri: string },
  { docker, scratch, log, signal }: World,
): Promise<string> {
  const directory = join(scratch, `bundle-${id}`);
  mkdirSync(directory, { recursive: true });
  const { app, environment, commit } = options;
  await writeBundle({
    directory,
    release: { id, app, environment, project: projectName(app, environment), commit },
    compiled,
  });
  const digest = await pushBundle({ directory, reference: `${uri}:bundle-${id}`, docker, signal });
  log.info(`Bundle: ${uri}@${digest}`);
  return `${uri}@${digest}`;
}
