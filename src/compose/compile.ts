import { ProblemsError } from '../problem.js';
import { definitionHash } from './definition.js';
import { buildContexts, chooseFiles, type FileFacts, type HashedFile, type Reference, referencesOf } from './files.js';
import { Findings } from './findings.js';
import { canonical, mapTexts } from './json.js';
import type { CompiledRelease, ComposeModel, Json, ReleaseService, Slot } from './model.js';
import { obstaclesTo } from './obstacles.js';
import type { ParsedCompose } from './parse.js';
import { chooseWebPort, type Port, portsOf } from './ports.js';
import { refuse } from './refuse.js';
import { builderOf, type PlannedService, planServices } from './roles.js';
import { volumesOf } from './service.js';
import { type Blueprint, sharedModel, slotModel } from './slots.js';
import { bind, TemplateError } from './template.js';
import { variablesOf } from './variables.js';
import { warn, warnSecrets } from './warnings.js';

export interface CompileOptions {
  readonly parsed: ParsedCompose;
  readonly facts: FileFacts;
  readonly app: string;
  readonly environment: string;
  /** References by digest: of the built services, and of others that are to be pinned. Empty while nothing is built yet. */
  readonly images?: { readonly [service: string]: string };
  /** The input `service`; empty means that the compose file decides. */
  readonly service?: readonly string[];
  /** A service without a port of its own in a slot keeps the port that it publishes. */
  readonly slots?: readonly Slot[];
  /**
   * The ports that targets are registered on, by service: they tell which of several published ports is meant. Those under
   * ANY_SERVICE hold for each service that has none of its own.
   */
  readonly expectedPorts?: { readonly [service: string]: readonly number[] };
}

/** An image that is still to be built, in the models of a plan. A bundle with one in it can't be written. */
export const UNBUILT = 'unbuilt/';

/** Stands for whichever service is behind the load balancer; no service can have this name. */
export const ANY_SERVICE = '';

const BLUE: Slot = { name: 'blue', ports: {} };

/** The compose project of an app on its hosts; two environments may share a host. */
export function projectName(app: string, environment: string): string {
  return environment === 'production' ? app : `${app}-${environment}`;
}

/** Pure and deterministic. Throws a ProblemsError with everything that is wrong, each with its line. */
export function compile(options: CompileOptions): CompiledRelease {
  const { parsed, slots = [BLUE] } = options;
  const findings = new Findings(parsed.locate);
  const model = withProjectName(parsed);
  const services = planServices(model, options.service ?? [], findings);
  refuse({ model, services, inactive: parsed.inactive, values: parsed.values }, findings);
  const references = referencesOf(model, parsed.envFiles, parsed.values, findings);
  const files = chooseFiles(references, options.facts, buildContexts(model), findings);
  const blueprint = draw(options, model, services, findings);
  refuseSlotPorts(blueprint, slots, findings);
  const obstacles = obstaclesTo(blueprint, findings);
  if (slots.length > 1) findings.problems.push(...obstacles);
  if (findings.problems.length > 0) throw new ProblemsError(findings.problems);
  warn(blueprint, findings);
  warnSecrets({ values: parsed.values, references, facts: options.facts }, findings);
  const warnings = [...parsed.warnings, ...findings.warnings];
  return {
    ...emit(blueprint, slots, references, files),
    envFiles: travellingEnvFiles(references),
    obstacles,
    warnings,
  };
}

function draw(
  { parsed, app, environment, images = {}, expectedPorts = {} }: CompileOptions,
  model: ComposeModel,
  services: readonly PlannedService[],
  findings: Findings,
): Blueprint {
  const { project, volumePrefix, values } = parsed;
  const webPorts = services.flatMap(({ name, definition, web }): [string, Port][] => {
    const port = web
      ? chooseWebPort(
          { service: name, definition, values, expected: expectedPorts[name] ?? expectedPorts[ANY_SERVICE] ?? [] },
          findings,
        )
      : undefined;
    return port ? [[name, port]] : [];
  });
  const references = services.map((service) => [service.name, imageOf(service, images)] as const);
  // Texts are settled again when models are written; what is wrong with them was found before.
  const settled = new Findings(parsed.locate);
  return {
    app,
    environment,
    project,
    volumePrefix,
    model,
    services,
    values,
    images: Object.fromEntries(references),
    webPorts: Object.fromEntries(webPorts),
    findings: settled,
  };
}

function imageOf(
  { name, builtBy, definition }: PlannedService,
  images: { readonly [service: string]: string },
): string {
  const given = images[name] ?? (builtBy === undefined ? undefined : images[builtBy]);
  if (given !== undefined) return given;
  return builtBy === undefined ? String(definition.image ?? '') : `${UNBUILT}${builtBy}`;
}

/** The services that have to be built, each under the name that `images` of compile() goes by. */
export function servicesToBuild({ model }: ParsedCompose): readonly string[] {
  const builders = Object.keys(model.services).flatMap((name) => builderOf(model, name) ?? []);
  return [...new Set(builders)].sort();
}

function emit(
  blueprint: Blueprint,
  slots: readonly Slot[],
  references: readonly Reference[],
  files: readonly HashedFile[],
) {
  const definition = (service: PlannedService) =>
    definitionHash({
      service,
      model: blueprint.model,
      references,
      files,
      image: service.role === 'rolled' ? blueprint.images[service.name] : undefined,
    });
  const shared = sharedModel(blueprint, definition);
  const models = slots.map((slot) => [slot.name, slotModel(blueprint, slot)] as const);
  return {
    shared,
    slots: Object.fromEntries(models),
    services: blueprint.services.map((service) => releaseService(blueprint, service, definition(service))),
    web: webOf(blueprint),
    files: files.map(({ path, source, mode, bytes }) => ({ path, source, mode, bytes })),
    variables: variablesOf([shared, ...models.map(([, model]) => model)]),
  };
}

function webOf({ webPorts }: Blueprint): CompiledRelease['web'] {
  return Object.entries(webPorts).map(([service, { published, target }]) => ({
    service,
    publishedPort: published ?? target,
    containerPort: target,
  }));
}

function releaseService({ images }: Blueprint, service: PlannedService, definition: string): ReleaseService {
  const { name, role, exclusive, recreate } = service;
  return { name, role, exclusive, recreate, image: images[name] ?? '', definition, stateful: isStateful(service) };
}

/** Where the host keeps things of its own that no service writes state to. */
const NO_STATE = /^\/(var\/run|run|etc|dev|proc|sys|lib\/modules|usr)(\/|$)/;

/** A volume, or a directory of the host that the service may write to. */
function isStateful({ definition }: PlannedService): boolean {
  return volumesOf(definition).some(({ type, source, read_only }) => {
    if (type === 'volume') return true;
    return type === 'bind' && read_only !== true && String(source).startsWith('/') && !NO_STATE.test(String(source));
  });
}

function travellingEnvFiles(references: readonly Reference[]): readonly string[] {
  return references.flatMap(({ use, travels }) => (use === 'env-file' && travels !== undefined ? [travels] : []));
}

/** A slot is a project of its own: `${COMPOSE_PROJECT_NAME}` would read its name there, and users mean theirs. */
function withProjectName({ model, volumePrefix }: ParsedCompose): ComposeModel {
  const settle = (text: string) => {
    try {
      return text.includes('COMPOSE_PROJECT_NAME') ? bind(text, 'COMPOSE_PROJECT_NAME', volumePrefix) : text;
    } catch (error) {
      if (error instanceof TemplateError) return text;
      throw error;
    }
  };
  // In order, so that neither messages nor defaults depend on how the keys are written.
  return canonical(mapTexts(model as Json, settle)) as ComposeModel;
}

/** Every host port belongs to one service of one slot, or to a service that publishes it in all of them. */
function refuseSlotPorts({ services, values, webPorts }: Blueprint, slots: readonly Slot[], findings: Findings): void {
  const holders = new Map<number, string>();
  for (const { name, definition } of services)
    for (const { published, target } of portsOf(definition, values))
      if (published !== undefined && !(webPorts[name]?.published === published && webPorts[name]?.target === target))
        holders.set(published, name);
  for (const slot of slots)
    for (const [name, web] of Object.entries(webPorts)) {
      const port = slot.ports[name] ?? web.published ?? web.target;
      const holder = holders.get(port);
      if (holder !== undefined)
        findings.refuse('SLOT_PORT_TAKEN', `${name} needs ${port} in the ${slot.name} slot, but ${holder} has it.`, {
          path: ['services', name, 'ports'],
          fix: 'Publish another port.',
        });
      holders.set(port, `${name} (${slot.name})`);
    }
}
