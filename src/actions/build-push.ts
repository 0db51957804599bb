import { resolve } from 'node:path';
import { setOutput } from '@actions/core';
import type { Repository } from '../aws/registry.js';
import { servicesToBuild } from '../compose/compile.js';
import { type ParsedCompose, parseCompose } from '../compose/parse.js';
import { buildImages } from '../deploy/build.js';
import type { BuildOptions } from '../deploy/options.js';
import { findRepository } from '../deploy/resolve.js';
import type { World } from '../deploy/world.js';
import type { BuiltImage } from '../image/bake.js';
import { login } from '../image/login.js';
import { ProblemCollector, problem } from '../problem.js';
import { releaseId } from '../release/release-id.js';
import { cancellation } from './cancellation.js';
import { deployInputs, regionOf } from './deploy-inputs.js';
import { fail } from './failure.js';
import { type Inputs, matching, optional, readInputs, required } from './inputs.js';
import { runnerLog } from './runner-log.js';
import { createWorld } from './world.js';

const TAG = matching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/, 'a tag of an image');

/** The inputs of build-push: the build half of deploy's. */
export const buildPushInputs = {
  'ecr-repository': required(deployInputs['ecr-repository']),
  'create-repository': deployInputs['create-repository'],
  tag: optional(TAG),
  'compose-file': deployInputs['compose-file'],
  'project-directory': deployInputs['project-directory'],
  'env-file': deployInputs['env-file'],
  'build-args': deployInputs['build-args'],
  'build-secrets': deployInputs['build-secrets'],
  'build-target': deployInputs['build-target'],
  platforms: deployInputs.platforms,
  cache: deployInputs.cache,
  'aws-region': deployInputs['aws-region'],
} as const;

/** Builds the services of the compose file that have a build, and pushes them to ECR. */
export async function buildPush(): Promise<void> {
  try {
    await main();
  } catch (error) {
    fail(error);
  }
}

async function main(): Promise<void> {
  const inputs = readInputs(buildPushInputs);
  const region = regionOf(inputs['aws-region'], process.env);
  const world = createWorld({ region, ssmDocument: '', log: runnerLog, signal: cancellation() });
  for (const secret of Object.values(inputs['build-secrets'])) world.mask(secret);
  const { parsed, repository } = await check(inputs, world);
  const { password } = await world.registry.login();
  world.mask(password);
  const session = await login({ registry: repository.uri.split('/')[0] ?? '', password, docker: world.docker });
  try {
    const tag = inputs.tag ?? `build-${releaseId(new Date(world.clock.now()), process.env.GITHUB_SHA ?? '')}`;
    writeOutputs(
      await buildImages(buildOptions(inputs), { parsed, repository, tag }, { ...world, docker: session.docker }),
    );
  } finally {
    await session.logout();
  }
}

type BuildPushInputs = Inputs<typeof buildPushInputs>;

/** Both checks at once; a repository is created only when there is nothing to complain about. */
async function check(
  inputs: BuildPushInputs,
  world: World,
): Promise<{ parsed: ParsedCompose; repository: Repository }> {
  const found = new ProblemCollector();
  const name = inputs['ecr-repository'] ?? '';
  const [repository, parsed] = await Promise.all([
    found.attempt(() => findRepository(world, { name, mayCreate: inputs['create-repository'] })),
    found.attempt(() => readBuilds(inputs, name, world)),
  ]);
  found.throwIfAny();
  if (!parsed) throw new Error('A check failed in silence.');
  return { parsed, repository: repository ?? (await world.registry.create(name)) };
}

async function readBuilds(inputs: BuildPushInputs, name: string, { docker }: World): Promise<ParsedCompose> {
  const parsed = await parseCompose({
    projectDirectory: resolve(inputs['project-directory']),
    project: name.replaceAll(/[^a-z0-9-]/g, '-'),
    ...(inputs['compose-file'].length > 0 ? { files: inputs['compose-file'] } : {}),
    ...(inputs['env-file'].length > 0 ? { envFiles: inputs['env-file'] } : {}),
    docker,
  });
  if (servicesToBuild(parsed).length > 0) return parsed;
  throw problem('NOTHING_TO_BUILD', 'No service of the compose file has a build.', {
    fix: 'Add build: to the service.',
  });
}

function buildOptions(inputs: BuildPushInputs): BuildOptions {
  return {
    args: inputs['build-args'],
    secrets: inputs['build-secrets'],
    target: inputs['build-target'],
    platforms: inputs.platforms,
    cache: inputs.cache,
  };
}

function writeOutputs(images: { readonly [service: string]: BuiltImage }): void {
  const [first] = Object.values(images);
  const references = Object.entries(images).map(([service, { ref }]) => [service, ref]);
  setOutput('image', first?.ref ?? '');
  setOutput('image-digest', first?.digest ?? '');
  setOutput('images', JSON.stringify(Object.fromEntries(references)));
}
