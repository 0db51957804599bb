import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { DeployOptions, FleetChoice } from '../deploy/options.js';
import type { WaveSize } from '../deploy/waves.js';
import { parseDuration } from '../duration.js';
import { problem } from '../problem.js';
import {
  flag,
  InputError,
  type Inputs,
  lines,
  matching,
  oneOf,
  optional,
  pairs,
  readInputs,
  required,
  text,
} from './inputs.js';

const INSTANCE_ID = /^i-([0-9a-f]{8}|[0-9a-f]{17})$/;

/** The inputs of the deploy action: names as in action.yml, which a test compares. */
export const deployInputs = {
  app: required(matching(/^[a-z0-9-]{1,40}$/, 'lower-case letters, digits and hyphens, at most 40')),
  environment: required(matching(/^[a-z0-9-]{1,40}$/, 'lower-case letters, digits and hyphens, at most 40')),
  'target-group': required(targetGroups),
  'ecr-repository': optional(
    matching(/^[a-z0-9]+([._/-]+[a-z0-9]+)*$/, 'the name of an ECR repository, without registry'),
  ),
  'create-repository': flag,
  image: optional(matching(/^[^\s@]+(@sha256:[0-9a-f]{64})?$/, 'an image reference')),
  'compose-file': lines,
  'project-directory': required(text),
  service: lines,
  'build-args': pairs,
  'build-secrets': pairs,
  'build-target': optional(text),
  platforms: lines,
  cache: oneOf('auto', 'gha', 'registry', 'none'),
  'env-file': lines,
  fleet: required(fleet),
  strategy: oneOf('auto', 'rolling', 'recreate'),
  'wave-size': waveSize,
  'health-timeout': optional(duration),
  'stable-for': optional(duration),
  'drain-timeout': optional(duration),
  'rollback-on-failure': flag,
  'aws-region': text,
  'ssm-document': required(text),
  'dry-run': flag,
} as const;

/** What an action run needs besides what it was asked for. */
export interface Settings {
  readonly options: DeployOptions;
  readonly ssmDocument: string;
}

/** Reads and checks the inputs of deploy. Throws a ProblemsError with all that is wrong. */
export function readDeployInputs(environment: NodeJS.ProcessEnv = process.env): Settings {
  const inputs = readInputs(deployInputs, environment);
  if (!inputs['ecr-repository'] && !inputs.image) {
    throw problem('INPUT_INVALID', "Input 'ecr-repository' is required unless 'image' is given.");
  }
  return toSettings(inputs, environment);
}

/** The inputs of rollout: those of deploy without the build, and an image that exists. */
const { image, ...shared } = omit(deployInputs, [
  'create-repository',
  'build-args',
  'build-secrets',
  'build-target',
  'platforms',
  'cache',
]);
export const rolloutInputs = { ...shared, image: required(image) };

/** Reads and checks the inputs of rollout. Throws a ProblemsError with all that is wrong. */
export function readRolloutInputs(environment: NodeJS.ProcessEnv = process.env): Settings {
  const inputs = readInputs(rolloutInputs, environment);
  return toSettings({ ...inputs, ...NO_BUILD }, environment);
}

const NO_BUILD = {
  'create-repository': false,
  'build-args': {},
  'build-secrets': {},
  'build-target': undefined,
  platforms: [],
  cache: 'none',
} as const;

function omit<T extends object, K extends keyof T>(whole: T, keys: readonly K[]): Omit<T, K> {
  return Object.fromEntries(Object.entries(whole).filter(([key]) => !keys.includes(key as K))) as Omit<T, K>;
}

function toSettings(inputs: DeployInputs, environment: NodeJS.ProcessEnv): Settings {
  const region = regionOf(inputs['aws-region'], environment);
  return { options: toOptions(inputs, region, environment), ssmDocument: inputs['ssm-document'] };
}

/** The input, or what configure-aws-credentials has set. */
export function regionOf(given: string, environment: NodeJS.ProcessEnv): string {
  const region = given || environment.AWS_REGION || environment.AWS_DEFAULT_REGION;
  if (region) return region;
  throw problem('INPUT_INVALID', "Input 'aws-region' is empty and AWS_REGION is not set.", {
    fix: 'Run aws-actions/configure-aws-credentials before this step, or set aws-region.',
  });
}

type DeployInputs = Inputs<typeof deployInputs>;

function toOptions(inputs: DeployInputs, region: string, environment: NodeJS.ProcessEnv): DeployOptions {
  const directory = inputs['project-directory'];
  return {
    app: inputs.app,
    environment: inputs.environment,
    targetGroups: inputs['target-group'],
    repository: inputs['ecr-repository'],
    createRepository: inputs['create-repository'],
    image: inputs.image,
    composeFiles: inputs['compose-file'],
    projectDirectory: directory,
    services: inputs.service,
    envFiles: inputs['env-file'].length > 0 ? inputs['env-file'] : defaultEnvFiles(directory),
    build: {
      args: inputs['build-args'],
      secrets: inputs['build-secrets'],
      target: inputs['build-target'],
      platforms: inputs.platforms,
      cache: inputs.cache,
    },
    fleet: inputs.fleet,
    strategy: inputs.strategy,
    waveSize: inputs['wave-size'],
    healthTimeoutSeconds: inputs['health-timeout'],
    stableForSeconds: inputs['stable-for'],
    drainTimeoutSeconds: inputs['drain-timeout'],
    rollbackOnFailure: inputs['rollback-on-failure'],
    dryRun: inputs['dry-run'],
    region,
    commit: environment.GITHUB_SHA ?? '',
  };
}

function defaultEnvFiles(directory: string): string[] {
  return existsSync(join(directory, '.env')) ? ['.env'] : [];
}

/** One name or ARN, or `SERVICE=NAME`, one a line. */
function targetGroups(value: string): DeployOptions['targetGroups'] {
  const groups = lines(value).map((line) => {
    const [, service, nameOrArn] = /^([\w.-]+)=(.+)$/.exec(line) ?? [];
    return service !== undefined && nameOrArn !== undefined ? { service, nameOrArn } : { nameOrArn: line };
  });
  if (groups.length > 1 && groups.some(({ service }) => service === undefined)) {
    throw new InputError('names several target groups, so each line must be SERVICE=NAME.');
  }
  return groups;
}

function fleet(value: string): FleetChoice {
  if (value === 'target-group') return { kind: 'registered' };
  const [, kind, rest = ''] = /^(tag|asg):(.+)$/.exec(value) ?? [];
  if (kind === 'asg') return { kind: 'tag', key: 'aws:autoscaling:groupName', value: rest };
  if (kind === 'tag') {
    const [key = '', tagValue] = rest.split(/=(.*)/s);
    if (key && tagValue) return { kind: 'tag', key, value: tagValue };
  }
  const ids = value.split(/[\s,]+/).filter(Boolean);
  if (kind === undefined && ids.every((id) => INSTANCE_ID.test(id))) return { kind: 'instances', ids };
  throw new InputError(`is '${value}', but must be target-group, instance ids (i-…), tag:KEY=VALUE or asg:NAME.`);
}

function waveSize(value: string): WaveSize {
  const [, number = '', percent] = /^([1-9][0-9]{0,3})(%?)$/.exec(value) ?? [];
  const size = Number(number);
  if (number !== '' && percent === '') return { kind: 'hosts', hosts: size };
  if (number !== '' && size <= 100) return { kind: 'share', percent: size };
  throw new InputError(`is '${value}', but must be a number of hosts or a percentage from 1% to 100%.`);
}

function duration(value: string): number {
  const seconds = parseDuration(value);
  if (seconds === undefined) throw new InputError(`is '${value}', but must be a time: 90, 90s, 5m or 1h30m.`);
  return seconds;
}
