import type { Problem } from '../problem.js';
import { list } from './findings.js';
import type { CompiledRelease, Slot } from './model.js';
import type { ParsedCompose } from './parse.js';

type Web = CompiledRelease['web'];

/** The slot that serves under the ports of the compose file. */
export function blueSlot(web: Web): Slot {
  return { name: 'blue', ports: Object.fromEntries(web.map(({ service, publishedPort }) => [service, publishedPort])) };
}

/** The second slot: the ports given, else the published port and one. */
export function greenSlot(web: Web, given: { readonly [service: string]: number } = {}): Slot {
  const ports = web.map(({ service, publishedPort }) => [service, given[service] ?? publishedPort + 1]);
  return { name: 'green', ports: Object.fromEntries(ports) };
}

export interface RegisteredTargets {
  readonly targetGroup: string;
  /** The ports that its targets are registered on; empty while there are none. */
  readonly ports: readonly number[];
}

export interface PortCheck {
  readonly parsed: ParsedCompose;
  readonly web: Web;
  /** All slots that may serve: a target registered on any of their ports is right. */
  readonly slots: readonly Slot[];
  readonly registered: { readonly [service: string]: RegisteredTargets };
}

/** PORT_MISMATCH for each web service whose targets are all registered on a port that it does not publish. */
export function checkPorts({ parsed, web, slots, registered }: PortCheck): readonly Problem[] {
  return web.flatMap(({ service, publishedPort }): readonly Problem[] => {
    const { targetGroup, ports } = registered[service] ?? { targetGroup: '', ports: [] };
    const known = [publishedPort, ...slots.flatMap((slot) => slot.ports[service] ?? [])];
    const unknown = [...new Set(ports)].filter((port) => !known.includes(port)).sort((a, b) => a - b);
    if (unknown.length === 0 || unknown.length < new Set(ports).size) return [];
    return [
      {
        code: 'PORT_MISMATCH',
        where: parsed.locate(['services', service, 'ports'], String(publishedPort)),
        message: `${service} publishes ${publishedPort}, but the targets of ${targetGroup} are registered on ${list(unknown.map(String))}.`,
        fix: `Publish ${unknown[0]}, or register the targets of ${targetGroup} on ${publishedPort}.`,
      },
    ];
  });
}
