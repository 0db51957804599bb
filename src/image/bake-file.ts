import { isAbsolute, resolve } from 'node:path';
import {
  isMap,
  type JsonMap,
  listOf,
  mapOf,
  mapTexts,
  pairsOf,
  stableJson,
  withoutUndefined,
} from '../compose/json.js';
import type { ComposeModel, Json } from '../compose/model.js';
import type { ParsedCompose } from '../compose/parse.js';
import { interpolate, TemplateError, type Values } from '../compose/template.js';
import { type Problem, ProblemsError, problem } from '../problem.js';

/** Keys of compose's `build` that bake has a word for; `tags` would name images that a deploy doesn't push. */
const KNOWN = [
  ...[
    'context',
    'dockerfile',
    'dockerfile_inline',
    'args',
    'target',
    'labels',
    'additional_contexts',
    'secrets',
    'ssh',
  ],
  ...[
    'cache_from',
    'cache_to',
    'no_cache',
    'pull',
    'shm_size',
    'network',
    'platforms',
    'ulimits',
    'extra_hosts',
    'tags',
  ],
  ...['entitlements'],
];

export interface BuildSettings {
  /** Over the arguments of the compose file. */
  readonly buildArgs: Values;
  /** Secrets that buildx finds in its environment, over those of the compose file; see secretVariable(). */
  readonly secretIds: readonly string[];
  readonly target?: string | undefined;
  readonly platforms: readonly string[];
}

export interface BakeFileOptions extends BuildSettings {
  readonly parsed: ParsedCompose;
  /** Services to build. */
  readonly services: readonly string[];
  /** Of the runner's environment and the env files. */
  readonly values: Values;
  readonly tagOf: (service: string) => string;
  readonly cacheOf: (service: string) => { readonly from: readonly string[]; readonly to: readonly string[] };
}

export interface BakeFile {
  /** A bake definition as JSON. */
  readonly text: string;
  /** The bake target of each service; services with equal builds share one. */
  readonly targets: { readonly [service: string]: string };
  readonly needsHostNetwork: boolean;
}

/** The `build` sections as bake targets. Throws a ProblemsError (BUILD_KEY_UNSUPPORTED, VARIABLE_REQUIRED). */
export function bakeFile(options: BakeFileOptions): BakeFile {
  const { parsed, services } = options;
  const problems: Problem[] = [];
  const all = withAdditional(parsed.model, services);
  const builds = new Map(all.map((service) => [service, settledBuild(parsed, service, options.values, problems)]));
  if (problems.length > 0) throw new ProblemsError(problems);
  const targets: { [service: string]: string } = {};
  const owners = new Map<string, string>();
  for (const service of all) {
    const key = stableJson(builds.get(service));
    targets[service] = targetName(owners.get(key) ?? service);
    if (!owners.has(key)) owners.set(key, service);
  }
  const definitions = [...owners.values()].map((service) => [
    targetName(service),
    bakeTarget(options, service, builds.get(service) ?? {}),
  ]);
  const wanted = [...new Set(services.map((service) => targets[service]))];
  const file = {
    group: { default: { targets: wanted } },
    target: mapTexts(Object.fromEntries(definitions) as Json, escapeTemplate),
  };
  const needsHostNetwork = [...builds.values()].some(({ network }) => network === 'host');
  return { text: stableJson(file), targets, needsHostNetwork };
}

/** The variable of buildx's environment that holds the value of a secret. */
export function secretVariable(index: number): string {
  return `BUILD_SECRET_${index}`;
}

/** Bake reads its JSON strings as HCL templates: `${` and `%{` have to be doubled to stay text. */
function escapeTemplate(text: string): string {
  return text.replaceAll('${', '$$${').replaceAll('%{', '%%{');
}

/** Bake allows letters, digits, `_` and `-`; compose also dots. */
function targetName(service: string): string {
  return service.replace(/[^A-Za-z0-9_-]/g, '_');
}

/** The services and those whose images they build upon, by `additional_contexts: {base: service:NAME}`. */
function withAdditional(model: ComposeModel, services: readonly string[]): readonly string[] {
  const found = new Set<string>();
  const add = (service: string): void => {
    if (found.has(service)) return;
    found.add(service);
    for (const context of Object.values(pairsOf(mapOf(model.services[service]?.build).additional_contexts)))
      if (String(context).startsWith('service:')) add(String(context).slice('service:'.length));
  };
  for (const service of [...services].sort()) add(service);
  return [...found];
}

function settledBuild({ model, locate }: ParsedCompose, service: string, values: Values, problems: Problem[]): JsonMap {
  const written = model.services[service]?.build;
  const where = locate(['services', service, 'build']);
  if (written === undefined) throw problem('BUILD_MISSING', `${service} has no build section.`, { where });
  const build = mapTexts(isMap(written) ? written : { context: written }, (text) => {
    try {
      const { text: settled, unset } = interpolate(text, values);
      for (const { name, message } of required(text, unset))
        problems.push({
          code: 'VARIABLE_REQUIRED',
          message: `The build of ${service} needs ${name}. ${message}`.trim(),
          where,
          fix: `Set it in the job's env:, in build-args or in an env-file.`,
        });
      return settled;
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      problems.push({ code: 'COMPOSE_INVALID', message: error.message, where });
      return text;
    }
  });
  for (const key of Object.keys(mapOf(build)))
    if (!KNOWN.includes(key) && !key.startsWith('x-'))
      problems.push({
        code: 'BUILD_KEY_UNSUPPORTED',
        message: `build.${key} of ${service} can't be passed to buildx bake.`,
        where: locate(['services', service, 'build', key]),
        fix: 'Take it away.',
      });
  return mapOf(build);
}

/** A variable without a value is empty text, as in compose; one written with `?` must have a value. */
function required(text: string, unset: readonly string[]): readonly { name: string; message: string }[] {
  return unset.flatMap((name) => {
    const message = new RegExp(`\\$\\{${name}:?\\?([^}]*)\\}`).exec(text)?.[1];
    return message === undefined ? [] : [{ name, message }];
  });
}

function bakeTarget(options: BakeFileOptions, service: string, build: JsonMap): JsonMap {
  const { parsed, target, platforms, tagOf, cacheOf } = options;
  const cache = cacheOf(service);
  return withoutUndefined({
    context: localPath(parsed.projectDirectory, String(build.context ?? '.')),
    dockerfile: build.dockerfile,
    'dockerfile-inline': build.dockerfile_inline,
    args: argsOf(build, options),
    target: target ?? build.target,
    contexts: additionalContexts(parsed.projectDirectory, build),
    labels: build.labels === undefined ? undefined : pairsOf(build.labels),
    secret: secretsOf(options, build),
    ssh: build.ssh === undefined ? undefined : sshOf(build.ssh),
    'cache-from': [...listOf(build.cache_from), ...cache.from],
    'cache-to': [...listOf(build.cache_to), ...cache.to],
    'no-cache': build.no_cache,
    pull: build.pull,
    'shm-size': build.shm_size === undefined ? undefined : String(build.shm_size),
    network: build.network,
    ulimits: build.ulimits === undefined ? undefined : ulimitsOf(build.ulimits),
    'extra-hosts': build.extra_hosts === undefined ? undefined : pairsOf(build.extra_hosts),
    entitlements: build.entitlements,
    platforms: platforms.length > 0 ? platforms : build.platforms,
    // What is built only for another to build upon is not pushed.
    tags: options.services.includes(service) ? [tagOf(service)] : undefined,
  });
}

/** An argument without a value takes it from the environment, and is left out where there is none, as in compose. */
function argsOf(build: JsonMap, { buildArgs, values }: BakeFileOptions): JsonMap | undefined {
  const written = Object.entries(pairsOf(build.args)).map(([name, value]): [string, Json | undefined] => [
    name,
    value ?? values[name],
  ]);
  const args = withoutUndefined({ ...Object.fromEntries(written), ...buildArgs });
  const texts = Object.entries(args).map(([name, value]) => [name, String(value)]);
  return texts.length > 0 ? Object.fromEntries(texts) : undefined;
}

function additionalContexts(projectDirectory: string, { additional_contexts }: JsonMap): JsonMap | undefined {
  if (additional_contexts === undefined) return undefined;
  const entries = Object.entries(pairsOf(additional_contexts)).map(([name, value]) => {
    const context = String(value);
    if (context.startsWith('service:')) return [name, `target:${targetName(context.slice('service:'.length))}`];
    return [name, localPath(projectDirectory, context)];
  });
  return Object.fromEntries(entries);
}

/** A directory of the project, or an address (`https://…`, `git@…`, `docker-image://…`) as it is. */
function localPath(projectDirectory: string, context: string): string {
  if (/^[\w+.-]+:\/\/|^git@|^[\w+.-]+:[^\\/]/.test(context) || isAbsolute(context)) return context;
  return resolve(projectDirectory, context);
}

function secretsOf({ parsed, secretIds }: BakeFileOptions, build: JsonMap): readonly string[] | undefined {
  const written = listOf(build.secrets).flatMap((entry) => {
    const source = isMap(entry) ? String(entry.source) : String(entry);
    const id = isMap(entry) && entry.target ? String(entry.target) : source;
    const definition = mapOf(mapOf(parsed.model.secrets)[source]);
    if (secretIds.includes(id)) return [];
    if (definition.environment) return [`id=${id},env=${String(definition.environment)}`];
    return [`id=${id},src=${resolve(parsed.projectDirectory, String(definition.file))}`];
  });
  const given = secretIds.map((id, index) => `id=${id},env=${secretVariable(index)}`);
  const all = [...written, ...given];
  return all.length > 0 ? all : undefined;
}

function sshOf(ssh: Json): readonly string[] {
  return Object.entries(pairsOf(ssh)).map(([id, path]) => (path === null ? id : `${id}=${String(path)}`));
}

function ulimitsOf(ulimits: Json): readonly string[] {
  return Object.entries(mapOf(ulimits)).map(([name, limit]) => {
    const { soft, hard } = mapOf(limit);
    return isMap(limit) ? `${name}=${String(soft)}:${String(hard)}` : `${name}=${String(limit)}`;
  });
}
