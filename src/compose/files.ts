import { posix } from 'node:path';
import type { Findings, Place } from './findings.js';
import { type JsonMap, mapOf } from './json.js';
import type { BundleFile, ComposeModel, ComposeService } from './model.js';
import { envFilesOf, usedDefinitions, volumesOf } from './service.js';
import type { Values } from './template.js';

/** What travels in a bundle weighs at most this: configuration does, a source tree or a data set doesn't. */
export const MAX_FILE_BYTES = 20 * 1024 * 1024;

export interface HashedFile extends BundleFile {
  readonly sha256: string;
}

/** What the project directory holds at a path that the model refers to. Directories are listed to their last file. */
export interface FileFact {
  readonly kind: 'file' | 'directory' | 'missing' | 'outside' | 'too-large';
  readonly bytes: number;
  readonly files: readonly HashedFile[];
}

/** By path relative to the project directory, normalised, with `/`. */
export type FileFacts = { readonly [path: string]: FileFact };

/** A path of the model: where it is written, and what it is for. */
export interface Reference extends Place {
  readonly use: 'mount' | 'config' | 'secret' | 'env_file' | 'env-file';
  /** As compose reads it, variables settled. */
  readonly source: string;
  /** Relative to the project directory; undefined for the host's own paths. */
  readonly travels: string | undefined;
  readonly required: boolean;
  readonly service?: string;
  readonly readOnly?: boolean;
}

/** Every path that the services, configs, secrets and env files name. */
export function referencesOf(
  model: ComposeModel,
  envFiles: readonly string[],
  values: Values,
  findings: Findings,
): readonly Reference[] {
  return [
    ...Object.entries(model.services).flatMap(([name, service]) => serviceReferences(name, service, values, findings)),
    ...definitionReferences(model, 'configs', 'config', values, findings),
    ...definitionReferences(model, 'secrets', 'secret', values, findings),
    ...envFiles.map((path) => reference({ use: 'env-file', source: path, required: true, path: [], hint: path })),
  ];
}

/** `./a/../b` → `b`; undefined for what is the host's own: absolute, or in its home directory. */
export function travelPath(path: string): string | undefined {
  if (path.startsWith('/') || path.startsWith('~')) return undefined;
  return posix.normalize(path).replace(/\/$/, '');
}

export function isOutside(path: string): boolean {
  return path === '..' || path.startsWith('../');
}

/** A volume entry with its source settled; a named volume whose variable holds a path is a bind mount. */
export function settledVolume(entry: JsonMap, values: Values, place: Place, findings: Findings): JsonMap | undefined {
  const source = entry.source;
  if (typeof source !== 'string' || !source.includes('$')) return entry;
  const settled = findings.settle(source, values, place);
  if (settled === undefined) return undefined;
  if (entry.type !== 'volume' || !/^[./~]/.test(settled)) return { ...entry, source: settled };
  const { volume: _, ...rest } = entry;
  return { ...rest, type: 'bind', source: settled, bind: { create_host_path: true } };
}

function serviceReferences(
  name: string,
  service: ComposeService,
  values: Values,
  findings: Findings,
): readonly Reference[] {
  const mounts = volumesOf(service).flatMap((volume) => {
    const place = { path: ['services', name, 'volumes'], hint: String(volume.source) };
    const settled = settledVolume(volume, values, place, findings);
    if (settled?.type !== 'bind') return [];
    const readOnly = settled.read_only === true;
    return [
      reference({ use: 'mount', source: String(settled.source), required: true, service: name, readOnly, ...place }),
    ];
  });
  const envFiles = envFilesOf(service).flatMap(({ path, entry }) => {
    const place = { path: ['services', name, 'env_file'], hint: path };
    const settled = findings.settle(path, values, place);
    if (settled === undefined) return [];
    return [
      reference({ use: 'env_file', source: settled, required: entry.required !== false, service: name, ...place }),
    ];
  });
  return [...mounts, ...envFiles];
}

function definitionReferences(
  model: ComposeModel,
  section: 'configs' | 'secrets',
  use: 'config' | 'secret',
  values: Values,
  findings: Findings,
): readonly Reference[] {
  // Only what containers get: a secret of a build stays where the build is.
  return usedDefinitions(Object.values(model.services), section).flatMap((key) => {
    const file = mapOf(mapOf(model[section])[key]).file;
    const place = { path: [section, key, 'file'] };
    const settled = typeof file === 'string' ? findings.settle(file, values, place) : undefined;
    return settled === undefined ? [] : [reference({ use, source: settled, required: true, ...place })];
  });
}

function reference(written: Omit<Reference, 'travels'>): Reference {
  return { ...written, travels: travelPath(written.source) };
}

/** Build contexts inside the project directory: what is mounted over them is source code. */
export function buildContexts(model: ComposeModel): readonly string[] {
  return Object.values(model.services).flatMap(({ build }) => {
    if (build === undefined) return [];
    const context = typeof build === 'string' ? build : mapOf(build).context;
    return typeof context === 'string' && !/^\w+:\/\/|^git@/.test(context) ? [travelPath(context) ?? '/'] : ['.'];
  });
}

/** The files that the bundle carries, and a refusal for each reference that can't travel. */
export function chooseFiles(
  references: readonly Reference[],
  facts: FileFacts,
  contexts: readonly string[],
  findings: Findings,
): readonly HashedFile[] {
  const found = new Map<string, HashedFile>();
  for (const one of references) {
    if (one.travels === undefined || refuseReference(one, one.travels, facts, contexts, findings)) continue;
    for (const file of facts[one.travels]?.files ?? []) found.set(file.path, file);
  }
  return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function refuseReference(
  one: Reference,
  travels: string,
  facts: FileFacts,
  contexts: readonly string[],
  findings: Findings,
): boolean {
  const fact = facts[travels];
  const refuse = (code: string, message: string, fix: string): true => {
    findings.refuse(code, message, { path: one.path, ...(one.hint ? { hint: one.hint } : {}), fix });
    return true;
  };
  if (isOutside(travels) || fact?.kind === 'outside')
    return refuse(
      'FILE_OUTSIDE_PROJECT',
      `${one.source} lies outside the project directory and can't travel with the release.`,
      'Move it into the project directory, or name a path of the host, beginning with /.',
    );
  if (one.use === 'mount' && contexts.some((context) => covers(travels, context)))
    return refuse(
      'DEVELOPMENT_MOUNT',
      `${one.service} mounts its source directory ${one.source}: a development mount does not belong in production, where the image holds the code.`,
      'Move the mount to a compose.override.yaml for development, or mount only the files that configure the service.',
    );
  if (!fact || fact.kind === 'missing' || (fact.kind === 'directory' && fact.files.length === 0))
    return one.required ? refuseMissing(one, refuse) : true;
  if (fact.kind === 'too-large')
    return refuse(
      'FILE_TOO_LARGE',
      `${one.source} weighs more than ${MAX_FILE_BYTES / 1024 / 1024} MB; what travels with a release is configuration.`,
      'Put it into the image, into a named volume, or on the host under an absolute path.',
    );
  if (one.use === 'mount' && fact.kind === 'directory' && one.readOnly === false)
    findings.warn(
      `what ${one.service} writes to ${one.source} stays with this release and is not there in the next. A named volume keeps it; add :ro if it only reads.`,
      one,
    );
  return false;
}

function refuseMissing(one: Reference, refuse: (code: string, message: string, fix: string) => true): true {
  if (one.use === 'mount')
    return refuse(
      'MOUNT_NOT_FOUND',
      `${one.source} is not in the repository: Docker would make an empty directory of it, a new one with each release.`,
      'Commit it, or use a named volume for what the service writes.',
    );
  return refuse(
    'FILE_NOT_FOUND',
    `${one.source} is not in the repository.`,
    one.use === 'env_file' ? 'Commit it, or write required: false.' : 'Commit it, or correct the path.',
  );
}

function covers(mount: string, context: string): boolean {
  return mount === '.' || mount === context || context.startsWith(`${mount}/`);
}

/** Names that mostly hold secrets; their values should not come from a file of the repository. */
const SECRET_NAME = /(PASSWORD|PASSWD|SECRET|TOKEN|PRIVATE_KEY|API_KEY|ACCESS_KEY|CREDENTIALS?)$/;

export function secretNames(values: Values): readonly string[] {
  return Object.entries(values)
    .filter(([name, value]) => value !== '' && SECRET_NAME.test(name))
    .map(([name]) => name)
    .sort();
}
