import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Json } from '../compose/model.js';
import { namesIn, type ParsedCompose, readValues } from '../compose/parse.js';
import type { Values } from '../compose/template.js';
import type { Log } from '../log.js';
import { problem } from '../problem.js';
import { bakeFile, secretVariable } from './bake-file.js';
import { type CacheChoice, cacheEntries, chooseCache } from './cache.js';
import type { DockerCli } from './docker.js';

export interface BakeOptions {
  readonly parsed: ParsedCompose;
  readonly repository: { readonly uri: string };
  /** Of a single image; with several the service's name comes before it: `api-TAG`. */
  readonly tag: string;
  /** The services to build, as servicesToBuild() names them. */
  readonly services: readonly string[];
  readonly buildArgs?: Values;
  /** Values by secret id. They reach buildx through its environment, neither its arguments nor a file. */
  readonly buildSecrets?: Values;
  readonly target?: string;
  readonly platforms?: readonly string[];
  readonly cache?: CacheChoice;
  readonly docker: DockerCli;
  readonly log: Log;
  readonly signal?: AbortSignal;
  /** The runner's environment: it serves the `${…}` of build sections, before the env files, as in compose. */
  readonly environment?: { readonly [name: string]: string | undefined };
}

export interface BuiltImage {
  /** `repository@sha256:…` */
  readonly ref: string;
  /** Of the manifest (or index) in the registry, `sha256:…`. */
  readonly digest: string;
  readonly tag: string;
}

/** The last lines of a failed build that a problem quotes. */
const TAIL_LINES = 25;

/** What buildx is told besides its arguments. */
const BUILDX_ENVIRONMENT = {
  // An attestation makes an index out of every image, with an untagged manifest that life-cycle rules stumble over.
  BUILDX_NO_DEFAULT_ATTESTATIONS: '1',
  // The metadata file would repeat the build arguments.
  BUILDX_METADATA_PROVENANCE: 'disabled',
  // Newer versions ask before they read outside of the working directory; the compose file says what is read.
  BUILDX_BAKE_ENTITLEMENTS_FS: '0',
} as const;

/** Builds and pushes. Throws a ProblemsError: BUILD_FAILED with the last lines, VARIABLE_REQUIRED, BUILD_KEY_UNSUPPORTED. */
export async function bake(options: BakeOptions): Promise<{ readonly [service: string]: BuiltImage }> {
  if (options.services.length === 0) return {};
  const directory = await mkdtemp(join(tmpdir(), 'bake-'));
  try {
    return await bakeIn(directory, options);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function bakeIn(directory: string, options: BakeOptions): Promise<{ readonly [service: string]: BuiltImage }> {
  const { parsed, services, docker, log, repository, environment = process.env } = options;
  const cache = await chooseCache({ choice: options.cache ?? 'auto', docker, environment });
  log.info(cache.reason);
  const tagOf = (service: string) => (services.length > 1 ? `${service}-${options.tag}` : options.tag);
  const file = bakeFile({
    parsed,
    services,
    values: await buildValues(options, environment),
    buildArgs: options.buildArgs ?? {},
    secretIds: Object.keys(options.buildSecrets ?? {}),
    target: options.target,
    platforms: options.platforms ?? [],
    tagOf: (service) => `${repository.uri}:${tagOf(service)}`,
    cacheOf: (service) => cacheEntries(cache.kind, service, repository.uri),
  });
  const digests = await runBake(directory, file.text, file.needsHostNetwork, options);
  return Object.fromEntries(
    services.map((service) => [service, built(file.targets[service] ?? service, digests, repository.uri)]),
  );
}

/** Build sections see what compose would show them: the runner's environment first, then the env files. */
async function buildValues(
  { parsed, docker }: BakeOptions,
  environment: { readonly [name: string]: string | undefined },
): Promise<Values> {
  const builds = Object.values(parsed.model.services).flatMap(({ build }) => (build === undefined ? [] : [build]));
  const args = builds.flatMap((build) => argNames(build));
  const present = Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return readValues({
    docker,
    projectDirectory: parsed.projectDirectory,
    envFiles: parsed.envFiles,
    names: [...namesIn(builds), ...args],
    environment: Object.fromEntries(present),
  });
}

function argNames(build: Json): readonly string[] {
  const args = (build as { readonly args?: Json } | null)?.args;
  if (Array.isArray(args)) return args.map((arg) => String(arg).split('=')[0] ?? '').filter(isName);
  return Object.keys((args ?? {}) as object).filter(isName);
}

function isName(name: string): boolean {
  return /^[A-Za-z_]\w*$/.test(name);
}

/** The digests by bake target, as the registry answered them: `containerimage.digest` is the manifest's with every driver. */
async function runBake(
  directory: string,
  definition: string,
  hostNetwork: boolean,
  { parsed, docker, log, signal, buildSecrets = {} }: BakeOptions,
): Promise<{ readonly [target: string]: { readonly digest: string; readonly reference: string } }> {
  const bakePath = join(directory, 'bake.json');
  const metadataPath = join(directory, 'metadata.json');
  await writeFile(bakePath, definition, { mode: 0o600 });
  const lines: string[] = [];
  const { code } = await docker.run(
    [
      ...['buildx', 'bake', '-f', bakePath, '--push', '--progress', 'plain', '--metadata-file', metadataPath],
      ...(hostNetwork ? ['--allow', 'network.host'] : []),
    ],
    {
      env: { ...BUILDX_ENVIRONMENT, ...secretEnvironment(buildSecrets) },
      cwd: parsed.projectDirectory,
      ...(signal ? { signal } : {}),
      onLine: (line) => {
        lines.push(line);
        log.info(line);
      },
    },
  );
  if (code !== 0) throw buildFailed(lines);
  return readMetadata(await readFile(metadataPath, 'utf8'));
}

function secretEnvironment(secrets: Values): Values {
  return Object.fromEntries(Object.entries(secrets).map(([, value], index) => [secretVariable(index), value]));
}

function buildFailed(lines: readonly string[]): Error {
  const last = lines.filter((line) => line.trim() !== '').slice(-TAIL_LINES);
  const error = last.findLast((line) => /^(#\d+ )?ERROR/.test(line));
  return problem('BUILD_FAILED', `The image could not be built or pushed.${error ? ` ${error}` : ''}`, {
    cause: last.join('\n'),
    fix: 'Build it on your machine with: docker compose build.',
  });
}

function readMetadata(text: string): {
  readonly [target: string]: { readonly digest: string; readonly reference: string };
} {
  const metadata = JSON.parse(text) as { readonly [target: string]: unknown };
  return Object.fromEntries(
    Object.entries(metadata).flatMap(([target, facts]) => {
      const { 'containerimage.digest': digest, 'image.name': reference } = (facts ?? {}) as {
        readonly [key: string]: unknown;
      };
      return typeof digest === 'string' ? [[target, { digest, reference: String(reference ?? '') }]] : [];
    }),
  );
}

function built(
  target: string,
  digests: { readonly [target: string]: { readonly digest: string; readonly reference: string } },
  uri: string,
): BuiltImage {
  const found = digests[target];
  if (!found)
    throw problem('BUILD_FAILED', `buildx told no digest for ${target}.`, {
      fix: 'Update buildx to version 0.10 or later.',
    });
  return { ref: `${uri}@${found.digest}`, digest: found.digest, tag: found.reference.slice(uri.length + 1) };
}
