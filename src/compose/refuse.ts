import { type Findings, list } from './findings.js';
import { eachText, listOf, mapOf } from './json.js';
import type { ComposeModel, ComposeService, Json } from './model.js';
import { portsOf } from './ports.js';
import type { PlannedService } from './roles.js';
import { dependenciesOf, linksOf, NAMESPACES, networksOf, volumesFrom, volumesOf } from './service.js';
import { TemplateError, type Values, variablesIn } from './template.js';

const TOP_LEVEL = ['name', 'version', 'services', 'networks', 'volumes', 'configs', 'secrets', 'include'];

export interface Refusable {
  readonly model: ComposeModel;
  readonly services: readonly PlannedService[];
  readonly inactive: readonly string[];
  readonly values: Values;
}

/** What this deployer can't express, and what compose would only say on the host. */
export function refuse({ model, services, inactive, values }: Refusable, findings: Findings): void {
  refuseUnknownSections(model, findings);
  refuseTemplates(model, findings);
  const byName = new Map(services.map((service) => [service.name, service]));
  for (const service of services) {
    refuseDangling(service, model, byName, inactive, findings);
    refuseBorrowing(service, byName, findings);
    if (service.role === 'rolled') refuseRolled(service, values, findings);
  }
}

function refuseUnknownSections(model: ComposeModel, findings: Findings): void {
  for (const key of Object.keys(model).sort())
    if (!TOP_LEVEL.includes(key) && !key.startsWith('x-'))
      findings.refuse('KEY_UNSUPPORTED', `The section ${key} can't be deployed yet.`, {
        path: [key],
        fix: 'Take it out of the compose file for this deploy, with an overlay.',
      });
}

function refuseTemplates(model: ComposeModel, findings: Findings): void {
  eachText(model.services as Json, (text, path) => {
    try {
      variablesIn(text);
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      // Mounts say so themselves, with the way out.
      if (path.includes('volumes')) return;
      findings.refuse('COMPOSE_INVALID', `Not a text that compose can interpolate: ${error.message}`, {
        path: ['services', ...path],
        hint: text,
        fix: 'Write $$ for a dollar sign.',
      });
    }
  });
}

function refuseDangling(
  { name, definition }: PlannedService,
  model: ComposeModel,
  services: ReadonlyMap<string, PlannedService>,
  inactive: readonly string[],
  findings: Findings,
): void {
  const dangling = (key: string, kind: string, wanted: readonly string[], known: readonly string[]) => {
    for (const one of wanted)
      if (!known.includes(one)) {
        const why = inactive.includes(one)
          ? `the service ${one}, whose profile is not active`
          : `the ${kind} ${one}, which is not defined`;
        findings.refuse('COMPOSE_INVALID', `${key} of ${name} names ${why}.`, {
          path: ['services', name, key],
          hint: one,
          fix: 'Correct the name, or define it.',
        });
      }
  };
  const keysOf = (section: string) => Object.keys(mapOf(model[section]));
  const sources = (key: string) => listOf(definition[key]).map((entry) => String(mapOf(entry).source ?? entry));
  const volumes = volumesOf(definition).filter(
    ({ type, source }) => type === 'volume' && typeof source === 'string' && !source.includes('$'),
  );
  const needed = Object.entries(dependenciesOf(definition)).filter(
    ([, condition]) => mapOf(condition).required !== false,
  );
  dangling(
    'depends_on',
    'service',
    needed.map(([one]) => one),
    [...services.keys()],
  );
  dangling('networks', 'network', Object.keys(networksOf(definition)), [...keysOf('networks'), 'default']);
  dangling(
    'volumes',
    'volume',
    volumes.map(({ source }) => String(source)),
    keysOf('volumes'),
  );
  dangling('configs', 'config', sources('configs'), keysOf('configs'));
  dangling('secrets', 'secret', sources('secrets'), keysOf('secrets'));
}

/** A namespace, a link or another's volumes can be borrowed only where both services live in the same project. */
function refuseBorrowing(
  { name, definition, role }: PlannedService,
  services: ReadonlyMap<string, PlannedService>,
  findings: Findings,
): void {
  const check = (key: string, other: string) => {
    const lender = services.get(other);
    const place = { path: ['services', name, key], hint: other };
    if (!lender)
      findings.refuse('COMPOSE_INVALID', `${key} of ${name} names the service ${other}, which is not defined.`, {
        ...place,
        fix: 'Correct the name.',
      });
    else if (lender.role !== role)
      findings.refuse(
        'BORROWED_ACROSS_ROLES',
        `${key} ties ${name} (${role}) to ${other} (${lender.role}): what a deploy replaces can't be tied to what it leaves alone.`,
        {
          ...place,
          fix:
            key === 'links'
              ? `Reach it by its own name, ${other}; a network alias on ${other} gives it another one.`
              : `Give both the same role with x-ec2-compose-deploy: {role: …}.`,
        },
      );
  };
  for (const key of NAMESPACES) {
    const value = String(definition[key] ?? '');
    if (value.startsWith('service:')) check(key, value.slice('service:'.length));
  }
  for (const { service } of volumesFrom(definition)) if (service !== undefined) check('volumes_from', service);
  for (const { service, alias } of linksOf(definition)) {
    // A link under the service's own name is only an order, and a deploy starts what it leaves alone first.
    const plain = alias === service && services.get(service)?.role === 'pinned' && role === 'rolled';
    if (!plain) check('links', service);
  }
}

function refuseRolled({ name, definition, web }: PlannedService, values: Values, findings: Findings): void {
  const path = ['services', name];
  if (definition.container_name !== undefined)
    findings.refuse(
      'CONTAINER_NAME_ROLLED',
      `${name} has a container_name: its old and its new version can't both have it.`,
      {
        path: [...path, 'container_name'],
        fix: 'Take it away; other services reach it by its service name.',
      },
    );
  if (web && definition.network_mode === 'host')
    findings.refuse(
      'WEB_HOST_NETWORK',
      `${name} uses the host's network: its port can't be moved, so two versions can't stand side by side.`,
      {
        path: [...path, 'network_mode'],
        fix: 'Take network_mode away and publish the port with ports:.',
      },
    );
  refuseReplicas(name, definition, values, findings);
}

function refuseReplicas(name: string, definition: ComposeService, values: Values, findings: Findings): void {
  const scaled = definition.scale !== undefined;
  const written = scaled ? definition.scale : mapOf(definition.deploy).replicas;
  if (written === undefined) return;
  const path = scaled ? ['services', name, 'scale'] : ['services', name, 'deploy', 'replicas'];
  const text = findings.settle(String(written), values, { path });
  const fixed = portsOf(definition, values).flatMap(({ published }) =>
    published === undefined ? [] : [String(published)],
  );
  if (text === undefined || Number(text) <= 1 || fixed.length === 0) return;
  findings.refuse(
    'REPLICAS_WITH_HOST_PORT',
    `${name} asks for ${text} containers that would all publish ${list(fixed)}.`,
    {
      path,
      fix: 'Run one container a host and let the load balancer spread over hosts, or take the host port away.',
    },
  );
}
