import { type Findings, list } from './findings.js';
import { isMap, type JsonMap, listOf } from './json.js';
import type { ComposeModel, ComposeService, Role } from './model.js';

/** The key under which a service tells this deployer what compose has no word for. */
export const SETTINGS = 'x-ec2-compose-deploy';

const ROLES: readonly Role[] = ['rolled', 'pinned'];

/** A service with what a deploy does to it. */
export interface PlannedService {
  readonly name: string;
  readonly definition: ComposeService;
  readonly role: Role;
  readonly exclusive: boolean;
  readonly recreate: boolean;
  /** The service whose `build` makes its image: itself, or one that names its build's image as this one's. */
  readonly builtBy: string | undefined;
  readonly web: boolean;
}

export function planServices(
  model: ComposeModel,
  asked: readonly string[],
  findings: Findings,
): readonly PlannedService[] {
  const web = chooseWeb(model, asked, findings);
  return Object.entries(model.services).map(([name, definition]) => {
    const settings = readSettings(name, definition, findings);
    const builtBy = builderOf(model, name);
    const isWeb = web.includes(name);
    const role = settings.role ?? (builtBy !== undefined || isWeb ? 'rolled' : 'pinned');
    if (isWeb && role === 'pinned')
      findings.refuse('WEB_SERVICE_PINNED', `${name} is behind the load balancer and can't be pinned.`, {
        path: ['services', name, SETTINGS],
        fix: 'Take role: pinned away, or choose another service with the input service.',
      });
    return { name, definition, role, exclusive: settings.exclusive, recreate: settings.recreate, builtBy, web: isWeb };
  });
}

/** The service that builds this one's image: itself, or one whose `build` is tagged with the same `image`. */
export function builderOf(model: ComposeModel, name: string): string | undefined {
  const definition = model.services[name];
  if (definition?.build !== undefined) return name;
  const image = definition?.image;
  if (image === undefined) return undefined;
  return Object.keys(model.services)
    .sort()
    .find((other) => model.services[other]?.build !== undefined && model.services[other]?.image === image);
}

function chooseWeb(model: ComposeModel, asked: readonly string[], findings: Findings): readonly string[] {
  const names = Object.keys(model.services);
  if (asked.length > 0) {
    for (const name of asked.filter((one) => !names.includes(one))) refuseUnknown(name, names, findings);
    return asked.filter((name) => names.includes(name));
  }
  const publishing = names.filter((name) => listOf(model.services[name]?.ports).length > 0);
  const candidates = publishing.filter((name) => model.services[name]?.build !== undefined);
  if (candidates.length === 0) refuseNone(publishing, findings);
  if (candidates.length > 1) refuseSeveral(candidates, findings);
  return candidates;
}

function refuseUnknown(name: string, names: readonly string[], findings: Findings): void {
  findings.refuse(
    'WEB_SERVICE_NOT_FOUND',
    `The input service names ${name}, but the compose file has ${list(names)}.`,
    {
      path: ['services'],
      fix: `Write one of these names (a service with an inactive profile is not among them).`,
    },
  );
}

function refuseNone(publishing: readonly string[], findings: Findings): void {
  const fix = publishing[0]
    ? `Say which service the load balancer talks to, such as service: ${publishing[0]}.`
    : 'Publish the port that the targets are registered on, such as ports: ["8080:3000"].';
  findings.refuse('WEB_SERVICE_NOT_FOUND', 'No service has both a build and a published port.', {
    path: ['services'],
    fix,
  });
}

function refuseSeveral(candidates: readonly string[], findings: Findings): void {
  findings.refuse('WEB_SERVICE_AMBIGUOUS', `${list(candidates)} all have a build and a published port.`, {
    path: ['services'],
    fix: `Say which one the load balancer talks to, such as service: ${candidates[0]}.`,
  });
}

interface Settings {
  readonly role: Role | undefined;
  readonly exclusive: boolean;
  readonly recreate: boolean;
}

function readSettings(name: string, definition: ComposeService, findings: Findings): Settings {
  const written = definition[SETTINGS];
  if (written === undefined) return { role: undefined, exclusive: false, recreate: false };
  const settings: JsonMap = isMap(written) ? written : {};
  const path = ['services', name, SETTINGS];
  const fix = 'Allowed: role (rolled or pinned), exclusive (true or false), recreate (true or false).';
  const wrong = (message: string, key?: string) =>
    findings.refuse('SETTINGS_INVALID', message, { path: key === undefined ? path : [...path, key], fix });
  if (!isMap(written)) wrong(`${SETTINGS} of ${name} is not a map.`);
  for (const key of Object.keys(settings))
    if (!['role', 'exclusive', 'recreate'].includes(key))
      wrong(`${SETTINGS} of ${name} has an unknown key: ${key}.`, key);
  for (const key of ['exclusive', 'recreate'])
    if (![undefined, true, false].includes(settings[key] as boolean | undefined))
      wrong(`${key} of ${name} is neither true nor false.`, key);
  const role = ROLES.find((one) => one === settings.role);
  if (settings.role !== undefined && role === undefined)
    wrong(`${String(settings.role)} of ${name} is no role.`, 'role');
  return { role, exclusive: settings.exclusive === true, recreate: settings.recreate === true };
}
