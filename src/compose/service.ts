import { isMap, type JsonMap, listOf, mapOf, pairsOf } from './json.js';
import type { ComposeService, Json } from './model.js';

/** The keys that may borrow a namespace of another service: `service:NAME`. */
export const NAMESPACES = ['network_mode', 'ipc', 'pid', 'uts', 'cgroup'];

/** `depends_on` in the long form, whichever was written. */
export function dependenciesOf({ depends_on }: ComposeService): JsonMap {
  const conditions = isMap(depends_on) ? depends_on : pairsOf(depends_on);
  const started: Json = { condition: 'service_started', required: true };
  return Object.fromEntries(Object.entries(conditions).map(([name, condition]) => [name, condition ?? started]));
}

export function networksOf(definition: ComposeService): JsonMap {
  if (definition.network_mode !== undefined) return {};
  if (definition.networks === undefined) return { default: null };
  return isMap(definition.networks) ? definition.networks : pairsOf(definition.networks);
}

export function volumesOf(service: ComposeService): readonly JsonMap[] {
  return listOf(service.volumes).filter(isMap);
}

export function envFilesOf(service: ComposeService): readonly { readonly path: string; readonly entry: JsonMap }[] {
  return listOf(service.env_file).map((entry) =>
    isMap(entry)
      ? { path: String(entry.path), entry }
      : { path: String(entry), entry: { path: String(entry), required: true } },
  );
}

export function linksOf(definition: ComposeService): readonly { readonly service: string; readonly alias: string }[] {
  return listOf(definition.links).map((link) => {
    const [service = '', alias = service] = String(link).split(':');
    return { service, alias };
  });
}

/** `SERVICE[:ro]`, or `container:NAME`, which is the host's own. */
export function volumesFrom(
  definition: ComposeService,
): readonly { readonly service: string | undefined; readonly text: string }[] {
  return listOf(definition.volumes_from).map((entry) => {
    const text = String(entry);
    return { text, service: text.startsWith('container:') ? undefined : text.split(':')[0] };
  });
}

/** The configs or secrets that containers of these services get, each once. */
export function usedDefinitions(
  services: readonly ComposeService[],
  section: 'configs' | 'secrets',
): readonly string[] {
  const used = services.flatMap((service) =>
    listOf(service[section]).map((entry) => String(mapOf(entry).source ?? entry)),
  );
  return [...new Set(used)].sort();
}
