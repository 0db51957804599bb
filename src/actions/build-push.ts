import { resolve } from 'node:path';
import { setOutput } from '@actions/core';
import { servicesToBuild } from '../compose/compile.js';
import { parseCompose } from '../compose/parse.js';
import { buildImages } from '../deploy/build.js';
import { login } from '../image/login.js';
import { problem } from '../problem.js';
import { releaseId } from '../release/release-id.js';
import { cancellation } from './cancellation.js';
import { deployInputs, regionOf } from './deploy-inputs.js';
import { fail } from './failure.js';
import { matching, optional, readInputs, required } from './inputs.js';
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
  const name = inputs['ecr-repository'] ?? '';
  const [repository, parsed] = await Promise.all([
    inputs['create-repository'] ? world.registry.create(name) : world.registry.describe(name),
    parseCompose({
      projectDirectory: resolve(inputs['project-directory']),
      project: name.replaceAll(/[^a-z0-9-]/g, '-'),
      ...(inputs['compose-file'].length > 0 ? { files: inputs['compose-file'] } : {}),
      ...(inputs['env-file'].length > 0 ? { envFiles: inputs['env-file'] } : {}),
      docker: world.docker,
    }),
  ]);
  const services = servicesToBuild(parsed);
  if (services.length === 0) {
    throw problem('NOTHING_TO_BUILD', 'No service of the compose file has a build.', {
      fix: 'Add build: to the service.',
    });
  }
  const { password } = await world.registry.login();
  world.mask(password);
  const session = await login({ registry: repository.uri.split('/')[0] ?? '', password, docker: world.docker });
  try {
    const tag = inputs.tag ?? `build-${releaseId(new Date(world.clock.now()), process.env.GITHUB_SHA ?? '')}`;
    const options = {
      args: inputs['build-args'],
      secrets: inputs['build-secrets'],
      target: inputs['build-target'],
      platforms: inputs.platforms,
      cache: inputs.cache,
    };
    const images = await buildImages(options, { parsed, repository, tag }, { ...world, docker: session.docker });
    const [first] = Object.values(images);
    setOutput('image', first?.ref ?? '');
    setOutput('image-digest', first?.digest ?? '');
    setOutput(
      'images',
      JSON.stringify(Object.fromEntries(Object.entries(images).map(([service, { ref }]) => [service, ref]))),
    );
  } finally {
    await session.logout();
  }
}
