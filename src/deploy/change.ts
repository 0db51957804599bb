import type { SlotName } from '../compose/model.js';
import type { HostOutcome } from '../host/hosts.js';
import type { BuiltRelease } from './build.js';
import type { FleetHost } from './fleet.js';
import { hostApp, ids, registryOf } from './hosts.js';
import type { DeployOptions } from './options.js';
import type { Plan } from './plan.js';
import type { Before } from './prepare.js';
import { healthyTargets } from './registration.js';
import type { Change } from './rollout.js';
import type { World } from './world.js';

/** The slot that strategies without a second one swap in place. */
const SLOT: SlotName = 'blue';
/** The new release on the hosts of a wave. */
export function deployChange(options: DeployOptions, release: BuiltRelease, { vacant }: Before, world: World): Change {
  const slot = { ...hostApp(options), release: release.id, slot: SLOT };
  const rolled = release.compiled.services.filter(({ role }) => role === 'rolled');
  const images = Object.fromEntries(rolled.map(({ name, image }) => [name, image]));
  const web = release.compiled.web.map(({ service }) => service);
  return {
    apply: (hosts) => world.hosts.swap(ids(hosts), { ...slot, registry: registryOf(options, release) }, world.signal),
    look: (hosts, signal) => world.hosts.verify(ids(hosts), { ...slot, images, web }, signal),
    digest: (service) => digestIn(images[service] ?? ''),
    vacant,
    web,
  };
}

/** The release that each host served before. A host that served none is emptied. */
export function revertChange(
  options: DeployOptions,
  release: BuiltRelease,
  before: Before['releases'],
  world: World,
): Change {
  const app = hostApp(options);
  const registry = registryOf(options, release);
  const web = release.compiled.web.map(({ service }) => service);
  return {
    apply: (hosts) =>
      perRelease(hosts, before, (to, some) =>
        world.hosts.revert(ids(some), { ...app, to, slot: SLOT, registry }, world.signal),
      ),
    look: (hosts, signal) =>
      perRelease(hosts, before, (to, some) =>
        world.hosts.verify(ids(some), { ...app, release: to ?? '', slot: SLOT, images: {}, web }, signal),
      ),
    digest: () => undefined,
    vacant: new Set(),
    web,
  };
}

async function perRelease(
  hosts: readonly FleetHost[],
  before: Before['releases'],
  work: (release: string | undefined, hosts: readonly FleetHost[]) => Promise<readonly HostOutcome[]>,
): Promise<HostOutcome[]> {
  const releases = [...new Set(hosts.map(({ id }) => before.get(id)))];
  const outcomes = await Promise.all(
    releases.map((release) =>
      work(
        release,
        hosts.filter(({ id }) => before.get(id) === release),
      ),
    ),
  );
  return outcomes.flat();
}

/** The hosts serve the same already, their containers run, and the load balancer calls every target healthy. */
export async function isServing(
  options: DeployOptions,
  plan: Plan,
  release: BuiltRelease,
  before: Before,
  world: World,
): Promise<boolean> {
  if (!before.same) return false;
  const fleet = plan.waves.flat();
  // Asked with the images of the new release, which are those that serve: every service must have a container that runs.
  const outcomes = await deployChange(options, release, before, world).look(fleet, world.signal);
  if (outcomes.some(({ problems }) => problems.length > 0)) return false;
  const targets = fleet.flatMap((host) => host.targets);
  return (await healthyTargets(world, plan, fleet)) === targets.length;
}

function digestIn(image: string): string | undefined {
  return /@(sha256:[0-9a-f]{64})$/.exec(image)?.[1];
}
