import { createHash } from 'node:crypto';
import type { HashedFile, Reference } from './files.js';
import { mapOf, omit, stableJson } from './json.js';
import type { ComposeModel } from './model.js';
import { type PlannedService, SETTINGS } from './roles.js';
import { usedDefinitions } from './service.js';

export interface DefinitionInput {
  readonly service: PlannedService;
  readonly model: ComposeModel;
  readonly references: readonly Reference[];
  readonly files: readonly HashedFile[];
  /** The image of a rolled service. A pinned one counts as it is written, or a tag that moved would recreate it. */
  readonly image: string | undefined;
}

/** sha256 of what a container is made from: its definition, the configs and secrets it uses, and the files it mounts. */
export function definitionHash({ service, model, references, files, image }: DefinitionInput): string {
  const configs = usedDefinitions([service.definition], 'configs');
  const secrets = usedDefinitions([service.definition], 'secrets');
  const mounted = references.filter(
    ({ service: owner, use, path }) =>
      owner === service.name ||
      (use === 'config' && configs.includes(path[1] ?? '')) ||
      (use === 'secret' && secrets.includes(path[1] ?? '')),
  );
  const roots = mounted.flatMap(({ travels }) => (travels === undefined ? [] : [travels]));
  const contents = files.filter(({ path }) => roots.some((root) => path === root || path.startsWith(`${root}/`)));
  const canonical = {
    service: { ...omit(service.definition, 'build', 'develop', 'pull_policy', SETTINGS), ...(image ? { image } : {}) },
    configs: configs.map((key) => [key, mapOf(mapOf(model.configs)[key])]),
    secrets: secrets.map((key) => [key, mapOf(mapOf(model.secrets)[key])]),
    files: contents.map(({ path, sha256 }) => [path, sha256]),
  };
  return createHash('sha256').update(stableJson(canonical)).digest('hex');
}
