import { access, readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { parse as parseYaml } from 'yaml';
import type { DockerCli, DockerResult } from '../image/docker.js';
import { problem } from '../problem.js';
import { travelPath } from './files.js';
import type { Locate } from './findings.js';
import { eachText, isMap, listOf, mapOf, omit } from './json.js';
import type { ComposeModel, Json } from './model.js';
import { type SourceFile, sourcesOf } from './source.js';
import { interpolate, TemplateError, type Values, variablesIn } from './template.js';

export interface ParseOptions {
  /** Absolute. Relative paths of the compose file start here. */
  readonly projectDirectory: string;
  /** The compose project on the hosts: `shop`, or `shop-staging`. */
  readonly project: string;
  /** Overlays in order, relative to the working directory or the project directory; compose's own names otherwise. */
  readonly files?: readonly string[];
  /** Relative to the project directory; `.env` where it exists otherwise. */
  readonly envFiles?: readonly string[];
  /** Active besides COMPOSE_PROFILES of the env files. */
  readonly profiles?: readonly string[];
  readonly docker: DockerCli;
}

/** The compose file as compose itself reads it, with `${…}` kept, and what is needed to speak about its lines. */
export interface ParsedCompose {
  readonly projectDirectory: string;
  readonly project: string;
  /** The services of active profiles, each without its `profiles`. */
  readonly model: ComposeModel;
  /** Services left out because their profile is not active. */
  readonly inactive: readonly string[];
  /** What unnamed volumes are called after: the file's own `name`, or the project. */
  readonly volumePrefix: string;
  /** Relative to the project directory, in the order compose takes them. */
  readonly envFiles: readonly string[];
  /** The values that the env files give to the variables of the model. Never logged. */
  readonly values: Values;
  readonly locate: Locate;
  readonly warnings: readonly string[];
}

/** Compose's own search order (compose-spec, "The Compose file"). */
const NAMES = ['compose.yaml', 'compose.yml', 'docker-compose.yaml', 'docker-compose.yml'];
const OVERRIDES = NAMES.map((name) => name.replace('.y', '.override.y'));

/** Compose reads these from its environment; a runner's must not change what is deployed. */
const NO_COMPOSE_VARIABLES = {
  COMPOSE_FILE: undefined,
  COMPOSE_PROFILES: undefined,
  COMPOSE_PROJECT_NAME: undefined,
  COMPOSE_ENV_FILES: undefined,
} as const;

/** The host's own, and what docker itself needs to run here. */
const NEVER_ASKED = ['PATH', 'HOME', 'PWD'];

/** Throws a ProblemsError: COMPOSE_FILE_NOT_FOUND, ENV_FILE_NOT_FOUND, COMPOSE_INVALID, COMPOSE_MISSING. */
export async function parseCompose(options: ParseOptions): Promise<ParsedCompose> {
  const { projectDirectory, project, docker } = options;
  const files = await findFiles(options);
  const envFiles = await findEnvFiles(options);
  const [raw, sources] = await Promise.all([
    readModel({ docker, projectDirectory, project, files }),
    readSources(files, projectDirectory).then(sourcesOf),
  ]);
  const name = sources.topLevelText('name');
  const values = await readValues({
    docker,
    projectDirectory,
    envFiles,
    names: [...namesIn(raw as Json), ...namesIn(name ?? '')],
  });
  const volumePrefix = name === undefined ? project : interpolate(name, values).text || project;
  const active = withActiveProfiles(raw, [...(options.profiles ?? []), ...profilesIn(values)]);
  return {
    ...active,
    projectDirectory,
    project,
    volumePrefix,
    envFiles,
    values: { ...values, COMPOSE_PROJECT_NAME: volumePrefix },
    locate: sources.locate,
    warnings: [...active.warnings, ...(options.files?.length ? [] : await overrideWarning(projectDirectory))],
  };
}

async function findFiles({ files = [], projectDirectory }: ParseOptions): Promise<readonly string[]> {
  if (files.length === 0) {
    for (const name of NAMES) if (await exists(join(projectDirectory, name))) return [join(projectDirectory, name)];
    throw problem('COMPOSE_FILE_NOT_FOUND', `There is no compose file in ${projectDirectory}.`, {
      cause: `Looked for ${NAMES.join(', ')}.`,
      fix: 'Name it with the input compose-file, or its folder with project-directory; check out the repository first.',
    });
  }
  return Promise.all(files.map((file) => findFile(file, projectDirectory)));
}

async function findFile(file: string, projectDirectory: string): Promise<string> {
  for (const path of [resolve(file), resolve(projectDirectory, file)]) if (await exists(path)) return path;
  throw problem('COMPOSE_FILE_NOT_FOUND', `The compose file ${file} does not exist.`, {
    fix: 'Correct the input compose-file; check out the repository first.',
  });
}

async function findEnvFiles({ envFiles, projectDirectory }: ParseOptions): Promise<readonly string[]> {
  if (envFiles === undefined) return (await exists(join(projectDirectory, '.env'))) ? ['.env'] : [];
  const named = envFiles.map((file) =>
    isAbsolute(file) ? relative(projectDirectory, file) : (travelPath(file) ?? file),
  );
  for (const file of named)
    if (!(await exists(join(projectDirectory, file))))
      throw problem('ENV_FILE_NOT_FOUND', `The env file ${file} does not exist in ${projectDirectory}.`, {
        fix: 'Correct the input env-file.',
      });
  return named;
}

interface ModelQuestion {
  readonly docker: DockerCli;
  readonly projectDirectory: string;
  readonly project: string;
  readonly files: readonly string[];
}

/**
 * With `--no-normalize` compose adds nothing of its own: a volume has a name only where the user gave one, and a build
 * argument without a value stays. Without interpolation env files are not read (2.26 has no --no-env-resolution).
 */
async function readModel({ docker, projectDirectory, project, files }: ModelQuestion): Promise<ComposeModel> {
  const result = await docker.run(
    [
      ...['compose', '--project-directory', projectDirectory, '-p', project, '--env-file', '/dev/null'],
      ...files.flatMap((file) => ['-f', file]),
      ...['config', '--format', 'json', '--no-interpolate', '--no-path-resolution', '--no-normalize'],
    ],
    { env: NO_COMPOSE_VARIABLES, cwd: projectDirectory },
  );
  if (result.code !== 0) throw invalid(result, projectDirectory, files);
  const model = JSON.parse(result.stdout) as { readonly [key: string]: Json };
  return { ...model, services: mapOf(model.services) } as ComposeModel;
}

function invalid({ stderr }: DockerResult, projectDirectory: string, files: readonly string[]): Error {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '' && !line.includes('level=warning'));
  const message = lines.join(' ').replaceAll(`${projectDirectory}/`, '').trim();
  if (/is not a docker command|unknown (shorthand )?flag|unknown command/.test(message))
    return problem('COMPOSE_MISSING', 'docker compose is missing on this runner, or too old.', {
      cause: message,
      fix: 'Install the compose plugin, version 2.24 or later.',
    });
  const where = files.map((file) => relative(projectDirectory, file)).join(', ');
  if (/too many colons/.test(message) && message.includes('${'))
    return problem('COMPOSE_INVALID', message, {
      where,
      fix: 'This version of compose misreads variables in the short syntax of volumes: write source: and target:.',
    });
  return problem('COMPOSE_INVALID', message, { where, fix: 'Try it with: docker compose config.' });
}

export interface ValuesQuestion {
  readonly docker: DockerCli;
  readonly projectDirectory: string;
  /** Relative to the project directory. */
  readonly envFiles: readonly string[];
  readonly names: readonly string[];
  /** Variables of the runner that come before the env files, as compose does it; none by default. */
  readonly environment?: Values;
}

/** Asks compose itself for the values of variables, so that its rules for env files hold to the letter. */
export async function readValues({
  docker,
  projectDirectory,
  envFiles,
  names,
  environment = {},
}: ValuesQuestion): Promise<Values> {
  const asked = [...new Set([...names, 'COMPOSE_PROFILES'])].filter((name) => !NEVER_ASKED.includes(name)).sort();
  const entries = asked.map((name) => [name, `\${${name}+set}\${${name}-}`]);
  const question = { services: { values: { image: 'scratch', environment: Object.fromEntries(entries) } } };
  const own = Object.fromEntries(asked.map((name) => [name, environment[name]]));
  const result = await docker.run(
    [
      ...['compose', '--project-directory', projectDirectory, '-p', 'values'],
      ...(envFiles.length > 0 ? envFiles : ['/dev/null']).flatMap((file) => [
        '--env-file',
        resolve(projectDirectory, file),
      ]),
      ...['-f', '-', 'config', '--format', 'json'],
    ],
    { input: JSON.stringify(question), env: { ...NO_COMPOSE_VARIABLES, ...own }, cwd: projectDirectory },
  );
  if (result.code !== 0)
    throw invalid(
      result,
      projectDirectory,
      envFiles.map((file) => join(projectDirectory, file)),
    );
  return setValues(mapOf(mapOf(mapOf(JSON.parse(result.stdout) as Json).services).values).environment);
}

function setValues(environment: Json | undefined): Values {
  return Object.fromEntries(
    Object.entries(mapOf(environment)).flatMap(([name, value]) => {
      const text = String(value ?? '');
      // compose prints a dollar sign as two.
      return text.startsWith('set') ? [[name, text.slice('set'.length).replaceAll('$$', '$')]] : [];
    }),
  );
}

/** Every variable that a value names; what can't be read is left for the checks that know its line. */
export function namesIn(value: Json): readonly string[] {
  const names = new Set<string>();
  eachText(value, (text) => {
    try {
      for (const { name } of variablesIn(text)) names.add(name);
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
    }
  });
  return [...names];
}

function profilesIn(values: Values): readonly string[] {
  return (values.COMPOSE_PROFILES ?? '').split(',').filter((name) => name !== '');
}

function withActiveProfiles(model: ComposeModel, profiles: readonly string[]) {
  const active = (service: Json | undefined) => {
    const own = listOf(mapOf(service).profiles).map(String);
    return own.length === 0 || profiles.includes('*') || own.some((name) => profiles.includes(name));
  };
  const names = Object.keys(model.services).sort();
  const inactive = names.filter((name) => !active(model.services[name]));
  const services = Object.fromEntries(
    names
      .filter((name) => !inactive.includes(name))
      .map((name) => [name, omit(mapOf(model.services[name]), 'profiles')]),
  );
  const warnings = inactive.map(
    (name) => `${name} is left out: its profile is not active (COMPOSE_PROFILES in an env file makes it so).`,
  );
  return { model: { ...model, services }, inactive, warnings };
}

async function overrideWarning(projectDirectory: string): Promise<readonly string[]> {
  for (const name of OVERRIDES)
    if (await exists(join(projectDirectory, name)))
      return [`${name} is not used: it is for development. Name it in compose-file if it belongs to the release.`];
  return [];
}

/** The compose files and what they include, for their lines. A file that can't be read is compose's to complain about. */
async function readSources(files: readonly string[], projectDirectory: string): Promise<readonly SourceFile[]> {
  const all = await Promise.all(files.map((file) => readSource(file, projectDirectory, [])));
  return all.flat();
}

async function readSource(
  file: string,
  projectDirectory: string,
  above: readonly string[],
): Promise<readonly SourceFile[]> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined || above.includes(file)) return [];
  const included = await Promise.all(
    includesOf(text).map((path) => readSource(resolve(dirname(file), path), projectDirectory, [...above, file])),
  );
  return [...included.flat(), { name: relative(projectDirectory, file), text }];
}

function includesOf(text: string): readonly string[] {
  try {
    const include = (parseYaml(text, { logLevel: 'silent' }) as { readonly include?: Json } | null)?.include;
    return listOf(include).flatMap((entry) => listOf(isMap(entry) ? entry.path : entry).map(String));
  } catch {
    return [];
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
