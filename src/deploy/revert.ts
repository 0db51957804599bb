import type { Problem } from '../problem.js';
import type { BuiltRelease } from './build.js';
import { revertChange } from './change.js';
import type { FleetHost } from './fleet.js';
import { problemsOf } from './hosts.js';
import type { DeployOptions } from './options.js';
import type { Plan } from './plan.js';
import type { Before } from './prepare.js';
import { names } from './registration.js';
import { runWave } from './rollout.js';
import type { World } from './world.js';

export type RevertResult =
  | { readonly outcome: 'rolled-back' }
  | { readonly outcome: 'rollback-failed'; readonly problems: readonly Problem[] };

/**
 * Puts back what every changed host served before, by the same strategy and the same gate; the wave that failed goes first.
 * A host that served nothing before is emptied: there is nothing to gate on. Never reverts a revert.
 */
export async function revert(
  options: DeployOptions,
  plan: Plan,
  release: BuiltRelease,
  { changed, before }: { changed: readonly (readonly FleetHost[])[]; before: Before['releases'] },
  world: World,
): Promise<RevertResult> {
  const change = revertChange(options, release, before, world);
  const waves = [...changed].reverse();
  const problems: Problem[] = [];
  const empty = waves.flat().filter(({ id }) => !before.has(id));
  if (empty.length > 0) {
    world.log.info(`${names(empty)}: nothing to go back to, since no release of this app served there; emptied.`);
    problems.push(...(await problemsOf(() => change.apply(empty))));
  }
  for (const wave of waves.map((hosts) => hosts.filter(({ id }) => before.has(id)))) {
    if (wave.length === 0) continue;
    world.log.info(`${names(wave)}: back to ${[...new Set(wave.map(({ id }) => before.get(id)))].join(', ')}`);
    const result = await runWave(world, plan, wave, change);
    if (result.state === 'failed') problems.push(...result.problems);
  }
  return problems.length === 0 ? { outcome: 'rolled-back' } : { outcome: 'rollback-failed', problems };
}
