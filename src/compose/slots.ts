import { settledVolume } from './files.js';
import type { Findings } from './findings.js';
import { isMap, type JsonMap, listOf, mapOf, omit, pairsOf, withoutUndefined } from './json.js';
import type { ComposeModel, ComposeService, Json, Slot } from './model.js';
import { movePort, type Port } from './ports.js';
import { type PlannedService, SETTINGS } from './roles.js';
import {
  dependenciesOf,
  envFilesOf,
  linksOf,
  NAMESPACES,
  networksOf,
  usedDefinitions,
  volumesFrom,
  volumesOf,
} from './service.js';
import { escapeDollars, type Values } from './template.js';

export const LABEL = 'ec2-compose-deploy';

/** What both kinds of project are made from. */
export interface Blueprint {
  readonly app: string;
  readonly environment: string;
  readonly project: string;
  readonly volumePrefix: string;
  readonly model: ComposeModel;
  readonly services: readonly PlannedService[];
  readonly values: Values;
  /** The reference that each service runs. */
  readonly images: { readonly [service: string]: string };
  readonly webPorts: { readonly [service: string]: Port };
  /** For texts that were settled before without a finding. */
  readonly findings: Findings;
}

/** Not for the host: they say how an image is made, how it is fetched, or how one develops. */
const BUILD_TIME = ['build', 'develop', 'pull_policy', 'profiles', SETTINGS];

/** `api` in the green slot is `api-green`. */
export function slotService(name: string, slot: Slot): string {
  return `${name}-${slot.name}`;
}

/**
 * The rolled services as a project of their own. Each network has a twin private to the slot, on which every service
 * answers to its own name; a network with pinned services on it is joined besides, without names, so that postgres is
 * reached and the other slot is not.
 */
export function slotModel(blueprint: Blueprint, slot: Slot): ComposeModel {
  const rolled = blueprint.services.filter(({ role }) => role === 'rolled');
  const project = `${blueprint.project}-${slot.name}`;
  return withoutUndefined({
    name: project,
    services: Object.fromEntries(
      rolled.map((service) => [slotService(service.name, slot), rolledService(blueprint, service, slot)]),
    ),
    networks: slotNetworks(blueprint, rolled, project),
    volumes: volumeDefinitions(blueprint, rolled, sharedVolumes(blueprint)),
    configs: definitions(blueprint, rolled, 'configs'),
    secrets: definitions(blueprint, rolled, 'secrets'),
  }) as ComposeModel;
}

/** The pinned services with the networks and volumes that they use; empty services where nothing is pinned. */
export function sharedModel(blueprint: Blueprint, definition: (service: PlannedService) => string): ComposeModel {
  const pinned = blueprint.services.filter(({ role }) => role === 'pinned');
  const networks = usedNetworks(pinned).map((key) => [key, sharedNetwork(blueprint, key)]);
  return withoutUndefined({
    name: blueprint.project,
    services: Object.fromEntries(
      pinned.map((service) => [service.name, pinnedService(blueprint, service, definition(service))]),
    ),
    networks: networks.length > 0 ? Object.fromEntries(networks) : undefined,
    volumes: volumeDefinitions(blueprint, pinned, []),
    configs: definitions(blueprint, pinned, 'configs'),
    secrets: definitions(blueprint, pinned, 'secrets'),
  }) as ComposeModel;
}

export function namedVolumes(definition: ComposeService, values: Values, findings: Findings): readonly string[] {
  return volumesOf(definition).flatMap((entry) => {
    const settled = settledVolume(entry, values, { path: [] }, findings);
    return settled?.type === 'volume' && typeof settled.source === 'string' ? [settled.source] : [];
  });
}

function rolledService(blueprint: Blueprint, service: PlannedService, slot: Slot): ComposeService {
  const { name, definition } = service;
  const others = blueprint.services.filter(({ role }) => role === 'rolled').map((other) => other.name);
  const rename = (other: string) => (others.includes(other) ? slotService(other, slot) : other);
  const web = blueprint.webPorts[name];
  return withoutUndefined({
    ...commonService(blueprint, service),
    ...borrowed(definition, rename),
    environment: {
      ...pairsOf(definition.environment),
      DEPLOY_RELEASE: `\${DEPLOY_RELEASE}`,
      DEPLOY_COMMIT: `\${DEPLOY_COMMIT}`,
      DEPLOY_ENVIRONMENT: `\${DEPLOY_ENVIRONMENT}`,
      DEPLOY_SLOT: slot.name,
    },
    labels: {
      ...commonLabels(blueprint, service),
      [`${LABEL}.slot`]: slot.name,
      [`${LABEL}.release`]: `\${DEPLOY_RELEASE}`,
    },
    depends_on: dependencies(definition, others, rename),
    networks: definition.network_mode === undefined ? rolledNetworks(blueprint, service) : undefined,
    ports: web
      ? movePort(definition, blueprint.values, web, slot.ports[name] ?? web.published ?? web.target)
      : definition.ports,
  });
}

function pinnedService(blueprint: Blueprint, service: PlannedService, definition: string): ComposeService {
  const pinned = blueprint.services.filter(({ role }) => role === 'pinned').map(({ name }) => name);
  return withoutUndefined({
    ...commonService(blueprint, service),
    labels: { ...commonLabels(blueprint, service), [`${LABEL}.definition`]: definition },
    depends_on: dependencies(service.definition, pinned, (name) => name),
  });
}

function commonService(blueprint: Blueprint, { name, definition }: PlannedService): JsonMap {
  return withoutUndefined({
    ...omit(definition, ...BUILD_TIME),
    image: blueprint.images[name],
    volumes: definition.volumes === undefined ? undefined : settledVolumes(blueprint, definition),
    env_file: definition.env_file === undefined ? undefined : settledEnvFiles(blueprint, definition),
  });
}

function commonLabels({ app, environment }: Blueprint, { name, role, definition }: PlannedService): JsonMap {
  return {
    ...pairsOf(definition.labels),
    [`${LABEL}.app`]: app,
    [`${LABEL}.environment`]: environment,
    [`${LABEL}.service`]: name,
    [`${LABEL}.role`]: role,
  };
}

function settledVolumes({ values, findings }: Blueprint, definition: ComposeService): readonly Json[] {
  return listOf(definition.volumes).map((entry) => {
    if (!isMap(entry)) return entry;
    const settled = settledVolume(entry, values, { path: [] }, findings) ?? entry;
    return settled === entry ? entry : { ...settled, source: escapeDollars(String(settled.source)) };
  });
}

function settledEnvFiles({ values, findings }: Blueprint, definition: ComposeService): readonly Json[] {
  return envFilesOf(definition).map(({ path, entry }) => ({
    ...entry,
    path: escapeDollars(findings.settle(path, values, { path: [] }) ?? path),
  }));
}

/** Names of services in the keys by which one borrows from another; links to pinned services are only an order. */
function borrowed(definition: ComposeService, rename: (name: string) => string): { [key: string]: Json | undefined } {
  const namespaces = NAMESPACES.flatMap((key) => {
    const value = definition[key];
    if (typeof value !== 'string' || !value.startsWith('service:')) return [];
    return [[key, `service:${rename(value.slice('service:'.length))}`]];
  });
  const links = linksOf(definition).filter(({ service }) => rename(service) !== service);
  const from = volumesFrom(definition).map(({ text, service }) =>
    service === undefined ? text : `${rename(service)}${text.slice(service.length)}`,
  );
  return {
    ...Object.fromEntries(namespaces),
    links: links.length > 0 ? links.map(({ service, alias }) => `${rename(service)}:${alias}`) : undefined,
    volumes_from: from.length > 0 ? from : undefined,
  };
}

function dependencies(
  definition: ComposeService,
  known: readonly string[],
  rename: (name: string) => string,
): Json | undefined {
  const kept = Object.entries(dependenciesOf(definition)).filter(([name]) => known.includes(name));
  return kept.length > 0 ? Object.fromEntries(kept.map(([name, condition]) => [rename(name), condition])) : undefined;
}

function usedNetworks(services: readonly PlannedService[]): readonly string[] {
  return [...new Set(services.flatMap(({ definition }) => Object.keys(networksOf(definition))))].sort();
}

/** Networks that a slot has to join because something outside of it is on them: a pinned service, or another project. */
function joinedNetworks(blueprint: Blueprint): readonly string[] {
  const pinned = usedNetworks(blueprint.services.filter(({ role }) => role === 'pinned'));
  return usedNetworks(blueprint.services).filter((key) => pinned.includes(key) || isExternal(blueprint, key));
}

export function isExternal({ model }: Pick<Blueprint, 'model'>, network: string): boolean {
  return Boolean(mapOf(mapOf(model.networks)[network]).external);
}

/** The key of the network that a slot joins, beside its private twin. */
function joinedKey({ model }: Blueprint, network: string): string {
  let key = `${network}-shared`;
  while (mapOf(model.networks)[key] !== undefined) key += '-shared';
  return key;
}

function rolledNetworks(blueprint: Blueprint, { name, definition }: PlannedService): JsonMap {
  const joined = joinedNetworks(blueprint);
  return Object.fromEntries(
    Object.entries(networksOf(definition)).flatMap(([key, settings]): [string, Json][] => {
      const { aliases, ...rest } = mapOf(settings);
      const names = [...new Set([name, ...listOf(aliases).map(String)])];
      if (!joined.includes(key)) return [[key, { ...rest, aliases: names }]];
      return [
        [key, { aliases: names }],
        [joinedKey(blueprint, key), Object.keys(rest).length > 0 ? rest : null],
      ];
    }),
  );
}

function slotNetworks(blueprint: Blueprint, rolled: readonly PlannedService[], project: string): JsonMap | undefined {
  const joined = joinedNetworks(blueprint);
  const entries = usedNetworks(rolled).flatMap((key): [string, Json][] => {
    const written = mapOf(mapOf(blueprint.model.networks)[key]);
    // The subnet of a network that is joined is taken; a private one keeps what is written.
    const own = joined.includes(key) ? omit(written, 'name', 'external', 'ipam') : omit(written, 'name');
    const twin: [string, Json] = [key, { ...own, name: `${project}_${key}` }];
    if (!joined.includes(key)) return [twin];
    return [twin, [joinedKey(blueprint, key), { external: true, name: sharedNetworkName(blueprint, key) }]];
  });
  return entries.length > 0 ? Object.fromEntries(entries) : undefined;
}

function sharedNetwork(blueprint: Blueprint, key: string): Json {
  return { ...mapOf(mapOf(blueprint.model.networks)[key]), name: sharedNetworkName(blueprint, key) };
}

function sharedNetworkName(blueprint: Blueprint, key: string): string {
  const written = mapOf(mapOf(blueprint.model.networks)[key]);
  if (typeof written.name === 'string') return written.name;
  return isExternal(blueprint, key) ? key : `${blueprint.project}_${key}`;
}

function sharedVolumes(blueprint: Blueprint): readonly string[] {
  const pinned = blueprint.services.filter(({ role }) => role === 'pinned');
  return pinned.flatMap(({ definition }) => namedVolumes(definition, blueprint.values, blueprint.findings));
}

/**
 * Volumes under their real names. What the shared project makes is external to a slot; what only slots use is written in
 * each, equal to the letter, because nothing else would make it.
 */
function volumeDefinitions(
  blueprint: Blueprint,
  services: readonly PlannedService[],
  madeElsewhere: readonly string[],
): JsonMap | undefined {
  const used = services.flatMap(({ definition }) => namedVolumes(definition, blueprint.values, blueprint.findings));
  const entries = [...new Set(used)].sort().map((key) => {
    const written = mapOf(mapOf(blueprint.model.volumes)[key]);
    const name = written.name ?? (written.external ? key : `${blueprint.volumePrefix}_${key}`);
    return [key, madeElsewhere.includes(key) || written.external ? { external: true, name } : { ...written, name }];
  });
  return entries.length > 0 ? Object.fromEntries(entries) : undefined;
}

function definitions(
  { model, values, findings }: Blueprint,
  services: readonly PlannedService[],
  section: 'configs' | 'secrets',
): JsonMap | undefined {
  const used = usedDefinitions(
    services.map(({ definition }) => definition),
    section,
  );
  const entries = used.map((key) => {
    const written = mapOf(mapOf(model[section])[key]);
    if (typeof written.file !== 'string') return [key, written];
    return [
      key,
      { ...written, file: escapeDollars(findings.settle(written.file, values, { path: [] }) ?? written.file) },
    ];
  });
  return entries.length > 0 ? Object.fromEntries(entries) : undefined;
}
