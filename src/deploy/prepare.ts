import { projectName } from '../compose/compile.js';
import { blueSlot } from '../compose/slot-ports.js';
import { sharedResources } from '../host/command.js';
import { clusterProblems, type HostOutcome } from '../host/hosts.js';
import { ProblemsError } from '../problem.js';
import type { BuiltRelease } from './build.js';
import type { FleetHost } from './fleet.js';
import { hostApp, ids, registryOf } from './hosts.js';
import type { DeployOptions } from './options.js';
import type { World } from './world.js';

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
