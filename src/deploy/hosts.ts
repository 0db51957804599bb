import { projectName } from '../compose/compile.js';
import type { SlotName } from '../compose/model.js';
import { blueSlot } from '../compose/slot-ports.js';
import { sharedResources } from '../host/command.js';
import { clusterProblems, type HostOutcome } from '../host/hosts.js';
import type { HostApp, HostRegistry } from '../host/verbs.js';
import { type Problem, ProblemsError } from '../problem.js';
import type { BuiltRelease } from './build.js';
import type { FleetHost } from './fleet.js';
import type { DeployOptions } from './options.js';
import type { Plan } from './plan.js';
import { healthyTargets } from './registration.js';
import type { Change } from './rollout.js';
import type { World } from './world.js';

/** The slot that strategies without a second one swap in place. */
const SLOT: SlotName = 'blue';
/** Room for what a pull writes besides the layers themselves (our choice). */
const MINIMUM_FREE_MEGABYTES = 512;

/** What the hosts ran before the deploy touched them, by instance id. */
export interface Before {
  /** The release that a host serves; hosts without one are absent. */
  readonly releases: ReadonlyMap<string, string>;
  /** Hosts with no container at all where the release will run. */
  readonly vacant: ReadonlySet<string>;
  /** Every host serves a release that consists of the same images, models and files. */
  readonly same: boolean;
}

export function hostApp({ app, environment }: DeployOptions): HostApp {
  return { app, environment, project: projectName(app, environment) };
}

/** Brings images, files and settings of the release to every host and checks that it could start. Changes nothing. */
export async function prepare(
  options: DeployOptions,
  fleet: readonly FleetHost[],
  release: BuiltRelease,
  world: World,
): Promise<Before> {
  const { compiled } = release;
  const outcomes = await world.hosts.prepare(
    ids(fleet),
    {
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
    },
    world.signal,
  );
  const problems = clusterProblems(outcomes);
  if (problems.length > 0) throw new ProblemsError(problems);
  world.log.info(`${outcomes.length} hosts have the images and files of ${release.id}, and could start it.`);
  return before(outcomes);
}

function before(outcomes: readonly HostOutcome[]): Before {
  const current = ({ instance, report }: HostOutcome) => (report?.current ? [[instance, report.current] as const] : []);
  const vacant = outcomes.filter(({ report }) => !report?.current && report?.facts.slotContainers === 0);
  return {
    releases: new Map(outcomes.flatMap(current)),
    vacant: new Set(vacant.map(({ instance }) => instance)),
    same: outcomes.every(({ report }) => report?.facts.sameAsCurrent === true),
  };
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

/** The new release on the hosts of a wave. */
export function deployChange(options: DeployOptions, release: BuiltRelease, { vacant }: Before, world: World): Change {
  const slot = { ...hostApp(options), release: release.id, slot: SLOT };
  const rolled = release.compiled.services.filter(({ role }) => role === 'rolled');
  const images = Object.fromEntries(rolled.map(({ name, image }) => [name, image]));
  const web = release.compiled.web.map(({ service }) => service);
  return {
    apply: (hosts) => world.hosts.swap(ids(hosts), { ...slot, registry: registryOf(options, release) }, world.signal),
    look: (hosts, signal) => world.hosts.verify(ids(hosts), { ...slot, images, web }, signal),
    digest: (_host, service) => digestIn(images[service] ?? ''),
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

/** Makes the release the one that the hosts serve. Best effort: the release is proven, whatever becomes of old files. */
export async function commit(
  options: DeployOptions,
  fleet: readonly FleetHost[],
  release: BuiltRelease,
  world: World,
): Promise<string[]> {
  const repositories = [release.bundle.slice(0, release.bundle.indexOf('@'))];
  const args = { ...hostApp(options), release: release.id, repositories };
  const attempt = () => problemsOf(() => world.hosts.commit(ids(fleet), args));
  // Where `current` was not moved, a later revert would go back too far: worth a second try.
  const first = await attempt();
  const problems = first.length > 0 ? await attempt() : first;
  return problems.map(({ code, message, where = '' }) => [`${code}:`, where, message].filter(Boolean).join(' '));
}

/** What went wrong on the hosts, or on the way to them. */
export async function problemsOf(work: () => Promise<readonly HostOutcome[]>): Promise<readonly Problem[]> {
  try {
    return clusterProblems(await work());
  } catch (error) {
    if (!(error instanceof ProblemsError)) throw error;
    return error.problems;
  }
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
