import { projectName } from '../compose/compile.js';
import { clusterProblems, type HostOutcome } from '../host/hosts.js';
import type { HostApp, HostRegistry } from '../host/verbs.js';
import { type Problem, ProblemsError } from '../problem.js';
import type { BuiltRelease } from './build.js';
import type { FleetHost } from './fleet.js';
import type { DeployOptions } from './options.js';

export function hostApp({ app, environment }: DeployOptions): HostApp {
  return { app, environment, project: projectName(app, environment) };
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

export function registryOf({ region }: DeployOptions, { registryHost }: BuiltRelease): HostRegistry {
  return { host: registryHost, region };
}

export function ids(hosts: readonly FleetHost[]): string[] {
  return hosts.map(({ id }) => id);
}
