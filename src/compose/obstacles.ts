import type { Problem } from '../problem.js';
import { type Findings, list } from './findings.js';
import { mapOf } from './json.js';
import { portsOf } from './ports.js';
import type { PlannedService } from './roles.js';
import { networksOf } from './service.js';
import type { Blueprint } from './slots.js';

/** What a second slot on the same host would fight over. Services that are swapped stop-first never run twice. */
export function obstaclesTo(blueprint: Blueprint, findings: Findings): readonly Problem[] {
  const rolled = blueprint.services.filter(({ role }) => role === 'rolled');
  return rolled.flatMap((service) =>
    service.exclusive && !service.web
      ? []
      : [
          ...exclusiveWeb(service, findings),
          ...fixedPorts(blueprint, service, findings),
          ...fixedPlaces(blueprint, service, findings),
        ],
  );
}

function exclusiveWeb({ name, web, exclusive }: PlannedService, findings: Findings): readonly Problem[] {
  if (!web || !exclusive) return [];
  return [
    findings.problem(
      'SLOT_EXCLUSIVE_WEB',
      `${name} is exclusive: its old version is stopped before the new one starts.`,
      {
        path: ['services', name, 'x-ec2-compose-deploy'],
        fix: 'Take exclusive away, or use the strategy rolling or recreate.',
      },
    ),
  ];
}

function fixedPorts(
  { values, webPorts }: Blueprint,
  { name, definition }: PlannedService,
  findings: Findings,
): readonly Problem[] {
  const web = webPorts[name];
  const ports = portsOf(definition, values).flatMap(({ published, target }) =>
    published === undefined || (published === web?.published && target === web.target) ? [] : [published],
  );
  return ports.map((port) =>
    findings.problem('SLOT_PORT_FIXED', `${name} publishes ${port}, which only one of two slots can have.`, {
      path: ['services', name, 'ports'],
      hint: String(port),
      fix: `Take the port away (services reach each other without it), or say x-ec2-compose-deploy: {exclusive: true}.`,
    }),
  );
}

function fixedPlaces(
  { model }: Blueprint,
  { name, definition }: PlannedService,
  findings: Findings,
): readonly Problem[] {
  const obstacle = (what: string, ...path: string[]) =>
    findings.problem('SLOT_ADDRESS_FIXED', `${name} ${what}, which only one of two slots can have.`, {
      path: ['services', name, ...path],
      fix: 'Take it away, or use the strategy rolling or recreate.',
    });
  const networks = Object.entries(networksOf(definition));
  const addressed = networks.filter(([, settings]) => mapOf(settings).ipv4_address ?? mapOf(settings).ipv6_address);
  const subnets = networks.filter(([key]) => mapOf(mapOf(mapOf(model.networks)[key]).ipam).config !== undefined);
  return [
    ...(definition.network_mode === 'host' ? [obstacle("uses the host's network and its ports", 'network_mode')] : []),
    ...(definition.mac_address === undefined ? [] : [obstacle('has a fixed MAC address', 'mac_address')]),
    ...(addressed.length > 0
      ? [obstacle(`has a fixed address on ${list(addressed.map(([key]) => key))}`, 'networks')]
      : []),
    ...(subnets.length > 0
      ? [obstacle(`is on ${list(subnets.map(([key]) => key))} with a fixed subnet`, 'networks')]
      : []),
  ];
}
