import { projectName } from '../compose/compile.js';
import type { SlotName } from '../compose/model.js';
import { blueSlot } from '../compose/slot-ports.js';
import { sharedResources } from '../host/command.js';
import { clusterProblems, type HostOutcome } from '../host/hosts.js';
import type { HostApp, HostRegistry } from '../host/verbs.js';
import { ProblemsError } from '../problem.js';
import type { BuiltRelease } from './build.js';
import type { FleetHost } from './fleet.js';
import type { DeployOptions } from './options.js';
import type { Change } from './rollout.js';
import type { World } from './world.js';

/** The slot that strategies without a second one swap in place. */
const SLOT: SlotName = 'blue';
/** Room for what a pull writes besides the layers themselves (our choice). */
const MINIMUM_FREE_MEGABYTES = 512;

/** The release that each host serves, by instance id; hosts without one are absent. */
export type ServingReleases = ReadonlyMap<string, string>;

export function hostApp({ app, environment }: DeployOptions): HostApp {
  return { app, environment, project: projectName(app, environment) };
}

/** Brings images, files and settings of the release to every host and checks that it could start. Changes nothing. */
export async function prepare(
  options: DeployOptions,
  fleet: readonly FleetHost[],
  release: BuiltRelease,
  world: World,
): Promise<ServingReleases> {
  const { compiled } = release;
  const outcomes = await world.hosts.prepare(ids(fleet), {
    ...hostApp(options),
    release: release.id,
    commit: options.commit,
    slot: blueSlot(compiled.web),
    bundle: release.bundle,
    registry: registryOf(options, release),
    services: compiled.services,
    resources: sharedResources(projectName(options.app, options.environment), compiled.shared),
    envFiles: compiled.envFiles,
    requiredVariables: compiled.variables.filter(({ required }) => required).map(({ name }) => name),
    minimumFreeMegabytes: MINIMUM_FREE_MEGABYTES,
  });
  const problems = clusterProblems(outcomes);
  if (problems.length > 0) throw new ProblemsError(problems);
  return serving(outcomes);
}

function serving(outcomes: readonly HostOutcome[]): ServingReleases {
  return new Map(
    outcomes.flatMap(({ instance, report }) => (report?.current ? [[instance, report.current] as const] : [])),
  );
}

/** The new release on the hosts of a wave. */
export function deployChange(options: DeployOptions, release: BuiltRelease, world: World): Change {
  const slot = { ...hostApp(options), release: release.id, slot: SLOT };
  const rolled = release.compiled.services.filter(({ role }) => role === 'rolled');
  const images = Object.fromEntries(rolled.map(({ name, image }) => [name, image]));
  const web = release.compiled.web.map(({ service }) => service);
  return {
    apply: (hosts) => world.hosts.swap(ids(hosts), { ...slot, registry: registryOf(options, release) }, world.signal),
    look: (hosts, signal) => world.hosts.verify(ids(hosts), { ...slot, images, web }, signal),
    digest: (_host, service) => digestIn(images[service] ?? ''),
    web,
  };
}

/** The release that each host served before. A host that served none is emptied. */
export function revertChange(
  options: DeployOptions,
  release: BuiltRelease,
  before: ServingReleases,
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
    web,
  };
}

async function perRelease(
  hosts: readonly FleetHost[],
  before: ServingReleases,
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

/** Makes the release the one that the hosts serve. Best effort: the release is proven, whatever becomes of old files. */
export async function commit(
  options: DeployOptions,
  fleet: readonly FleetHost[],
  release: BuiltRelease,
  world: World,
): Promise<string[]> {
  const repositories = [release.bundle.slice(0, release.bundle.indexOf('@'))];
  const outcomes = await world.hosts.commit(ids(fleet), { ...hostApp(options), release: release.id, repositories });
  return clusterProblems(outcomes).map(({ code, message, where = '' }) => `${code}: ${where} ${message}`);
}

function registryOf({ region }: DeployOptions, { registryHost }: BuiltRelease): HostRegistry {
  return { host: registryHost, region };
}

function digestIn(image: string): string | undefined {
  return /@(sha256:[0-9a-f]{64})$/.exec(image)?.[1];
}

function ids(hosts: readonly FleetHost[]): string[] {
  return hosts.map(({ id }) => id);
}
