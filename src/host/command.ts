import { gzipSync } from 'node:zlib';
import type { ComposeModel, Json } from '../compose/model.js';
import { problem } from '../problem.js';
import { hostScripts } from './scripts.generated.js';
import type { HostRegistry, SharedResource, Verb, VerbArguments } from './verbs.js';

export type { Verb, VerbArguments };

/** Bytes. SSM documents no limit for a command's parameters, only 64 KB for a document: stay well below it. */
export const scriptLimit = 24_000;
/** How long a verb waits for another one's lock on the host. */
export const lockSeconds = 120;
/** How long `docker compose up` of a slot may take, images being there: it waits for health checks of dependencies. */
export const upSeconds = 600;
const releasesKept = 5;
/** Less than this no image fits (our choice); `prepare` asks for what the release wants. */
const preflightFreeMegabytes = 256;

type Part = keyof typeof hostScripts;

/** A script is its parts, in this order, behind one shebang. */
const parts: { readonly [V in Verb]: readonly Part[] } = {
  preflight: ['common', 'failures', 'requirements', 'preflight'],
  prepare: ['common', 'failures', 'requirements', 'images', 'pinned', 'prepare'],
  swap: ['common', 'failures', 'images', 'containers', 'pinned', 'pinned-start', 'slot', 'swap'],
  verify: ['common', 'containers', 'verify'],
  commit: ['common', 'commit'],
  revert: ['common', 'failures', 'images', 'containers', 'pinned', 'pinned-start', 'slot', 'revert'],
  status: ['common', 'containers', 'pinned', 'status'],
};

/** What a script reads: names and texts. A table has a row a line and `|` between its columns. */
type Fields = { readonly [name: string]: string };

const fields: { readonly [V in Verb]: (args: VerbArguments[V]) => Fields } = {
  preflight: () => ({
    needsRegistryClient: 'true',
    minimumFreeMegabytes: String(preflightFreeMegabytes),
    architecture: '',
  }),
  prepare: (args) => ({
    needsRegistryClient: args.registry ? 'true' : '',
    ...registryFields(args.registry),
    release: args.release,
    commit: args.commit,
    slot: args.slot.name,
    bundle: args.bundle,
    ports: table(Object.entries(args.slot.ports)),
    services: table(args.services.map((service) => serviceRow(service, args.slot.ports))),
    resources: table(args.resources.map(({ kind, key, name }) => [kind, key, name])),
    'env-files': table(args.envFiles.map((path) => [path])),
    variables: table(args.requiredVariables.map((name) => [name])),
    minimumFreeMegabytes: String(args.minimumFreeMegabytes),
    // EC2 says arm64 where the kernel says aarch64.
    architecture: args.architecture === 'arm64' ? 'aarch64' : (args.architecture ?? ''),
  }),
  swap: (args) => ({ ...registryFields(args.registry), release: args.release, slot: args.slot }),
  verify: ({ release, slot, images, web }) => ({
    release,
    slot,
    images: table(Object.entries(images).map(([service, image]) => [service, image, web.includes(service)])),
  }),
  commit: (args) => ({
    release: args.release,
    keep: String(args.keep ?? releasesKept),
    repositories: table(args.repositories.map((name) => [name])),
  }),
  revert: (args) => ({ ...registryFields(args.registry), release: args.to ?? '', slot: args.slot }),
  status: () => ({}),
};

/**
 * The text of a command: a shebang, the arguments as one base64 word, the shared functions, the verb. The same
 * arguments give the same text. Throws a ProblemsError (SCRIPT_TOO_LARGE, INPUT_INVALID).
 */
export function hostCommand<V extends Verb>(verb: V, args: VerbArguments[V]): string {
  const given = fields[verb](args);
  const { app, environment, project } = args;
  for (const [name, value] of Object.entries({ app, environment, project })) checkName(name, value);
  for (const name of ['release', 'slot'] as const) if (given[name]) checkName(name, given[name]);
  const limits = { lockSeconds: String(lockSeconds), upSeconds: String(upSeconds) };
  const lines = parts[verb].flatMap((part): readonly string[] => hostScripts[part]);
  const head = [
    '#!/bin/bash',
    `readonly arguments='${encode({ app, environment, project, verb, ...limits, ...given })}'`,
  ];
  const script = `${[...head, ...lines].join('\n')}\n`;
  const bytes = Buffer.byteLength(script);
  if (bytes <= scriptLimit) return script;
  throw problem('SCRIPT_TOO_LARGE', `The ${verb} command is ${bytes} bytes, more than ${scriptLimit}.`, {
    cause: 'The release has more services and files than fit into one command.',
    fix: 'Divide the compose file into several apps.',
  });
}

/** The networks and volumes that compose makes for the shared project; an external one is somebody else's. */
export function sharedResources(project: string, shared: ComposeModel): SharedResource[] {
  return (['network', 'volume'] as const).flatMap((kind) =>
    Object.entries(section(shared, kind)).flatMap(([key, definition]) =>
      isExternal(definition) ? [] : [{ kind, key, name: nameOf(definition) ?? `${project}_${key}` }],
    ),
  );
}

function section(model: ComposeModel, kind: SharedResource['kind']): { readonly [key: string]: Json } {
  const value = model[`${kind}s`];
  return isRecord(value) ? value : {};
}

function isRecord(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isExternal(definition: Json): boolean {
  return isRecord(definition) && Boolean(definition.external);
}

function nameOf(definition: Json): string | undefined {
  const name = isRecord(definition) ? definition.name : undefined;
  return typeof name === 'string' && name !== '' ? name : undefined;
}

function registryFields(registry: HostRegistry | undefined): Fields {
  return { registryHost: registry?.host ?? '', registryRegion: registry?.region ?? '' };
}

function serviceRow(
  { name, role, image, definition, stateful, recreate, exclusive }: VerbArguments['prepare']['services'][number],
  ports: { readonly [service: string]: number },
): readonly Cell[] {
  return [name, role, image, definition, stateful, recreate, exclusive, Object.hasOwn(ports, name)];
}

type Cell = string | number | boolean;

function table(rows: readonly (readonly Cell[])[]): string {
  for (const cell of rows.flat()) if (/[|\n]/.test(String(cell))) throw badCharacter(String(cell));
  return rows.map((row) => row.join('|')).join('\n');
}

/** These become parts of paths, project names and file names. */
function checkName(name: string, value: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(value)) return;
  throw problem('INPUT_INVALID', `The ${name} ${JSON.stringify(value)} is not a plain name.`, {
    fix: 'Use letters, digits, dots, underscores and hyphens, and begin with a letter or digit.',
  });
}

/** Records end with 1E and divide name and value with 1F; no value has a control character but the line breaks of tables. */
function encode(values: Fields): string {
  const records = Object.entries(values).map(([name, value]) => {
    if (/(?!\n)\p{Cc}/u.test(value)) throw badCharacter(value);
    return `${name}\x1f${value}\x1e`;
  });
  return gzipSync(records.join(''), { level: 9 }).toString('base64');
}

function badCharacter(text: string): Error {
  return problem('INPUT_INVALID', `${JSON.stringify(text)} holds a character that a host command cannot carry.`, {
    fix: 'Leave out line breaks, control characters and the vertical bar.',
  });
}
