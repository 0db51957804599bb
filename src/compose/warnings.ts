import { type FileFacts, type Reference, secretNames } from './files.js';
import { type Findings, list } from './findings.js';
import { listOf, mapOf } from './json.js';
import type { PlannedService } from './roles.js';
import { dependenciesOf, networksOf } from './service.js';
import { type Blueprint, isExternal } from './slots.js';

/** What works, but not in every way as it did before the services were divided into slots. */
export function warn(blueprint: Blueprint, findings: Findings): void {
  const rolled = blueprint.services.filter(({ role }) => role === 'rolled').map(({ name }) => name);
  for (const service of blueprint.services) {
    if (service.role === 'pinned') warnPinned(service, rolled, findings);
    else warnRolled(blueprint, service, findings);
    if (service.web) warnRestart(service, findings);
  }
}

function warnPinned({ name, definition }: PlannedService, rolled: readonly string[], findings: Findings): void {
  const needed = Object.keys(dependenciesOf(definition)).filter((other) => rolled.includes(other));
  for (const other of needed)
    findings.warn(
      `${name} is left alone by a deploy but depends on ${other}, which is replaced: it starts first, and reaches ${other} only as ${other}-blue or ${other}-green. Say x-ec2-compose-deploy: {role: rolled} if it belongs to the release.`,
      { path: ['services', name, 'depends_on'], hint: other },
    );
}

function warnRolled(blueprint: Blueprint, { name, definition }: PlannedService, findings: Findings): void {
  for (const [key, settings] of Object.entries(networksOf(definition))) {
    const aliases = listOf(mapOf(settings).aliases).map(String);
    const place = { path: ['services', name, 'networks', key] };
    if (isExternal(blueprint, key))
      findings.warn(
        `on the external network ${key}, others reach ${name} as ${name}-blue or ${name}-green, by the slot that serves.`,
        place,
      );
    else if (aliases.length > 0)
      findings.warn(`the alias ${list(aliases)} of ${name} is known to the services of its own slot.`, place);
  }
}

function warnRestart({ name, definition }: PlannedService, findings: Findings): void {
  if (definition.restart !== undefined || mapOf(definition.deploy).restart_policy !== undefined) return;
  findings.warn(`${name} has no restart policy and stays down when its host restarts: add restart: unless-stopped.`, {
    path: ['services', name],
  });
}

/** Values that look like secrets, in a file that travels in the bundle. */
export function warnSecrets(
  { values, references, facts }: { values: Blueprint['values']; references: readonly Reference[]; facts: FileFacts },
  findings: Findings,
): void {
  const names = secretNames(values);
  const carried = references.some(
    ({ use, travels }) => use === 'env-file' && travels !== undefined && facts[travels]?.kind === 'file',
  );
  if (carried && names.length > 0)
    findings.warn(
      `${list(names)} in an env-file travel in the bundle, readable by everyone who can pull it: keep secrets out of the repository.`,
      { path: [] },
    );
}
