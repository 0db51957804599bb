import type { BuiltRelease } from './build.js';
import type { FleetHost } from './fleet.js';
import { hostApp, ids, problemsOf } from './hosts.js';
import type { DeployOptions } from './options.js';
import type { World } from './world.js';

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
