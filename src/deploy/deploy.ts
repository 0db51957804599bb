import { rmSync } from 'node:fs';
import { type Problem, ProblemsError } from '../problem.js';
import { releaseId } from '../release/release-id.js';
import { type BuiltRelease, build } from './build.js';
import { deployChange, isServing } from './change.js';
import { commit } from './commit.js';
import type { DeployOptions } from './options.js';
import { describePlan, makePlan, type Plan } from './plan.js';
import { type Before, prepare } from './prepare.js';
import { type Resolved, resolve } from './resolve.js';
import { type DeployResult, type Outcome, summarise } from './result.js';
import { revert } from './revert.js';
import { rollOut } from './rollout.js';
import { Timeline } from './timeline.js';
import type { World } from './world.js';

/**
 * The whole pipeline, phase by phase. Whatever AWS, a host or the user's files do wrong is an outcome with its problems;
 * only a fault of our own throws.
 */
export async function deploy(options: DeployOptions, world: World): Promise<DeployResult> {
  const run = new Run(options, world);
  try {
    return await run.toTheEnd();
  } catch (error) {
    if (world.signal.aborted) return run.end('cancelled', [cancelled(error)]);
    if (error instanceof ProblemsError) return run.end('rejected', error.problems);
    throw error;
  } finally {
    rmSync(world.scratch, { recursive: true, force: true });
  }
}

class Run {
  readonly #options: DeployOptions;
  readonly #world: World;
  readonly #timeline: Timeline;
  #ending: Omit<DeployResult, 'outcome' | 'problems' | 'phases' | 'durationSeconds'> = summarise();

  constructor(options: DeployOptions, world: World) {
    this.#options = options;
    this.#world = world;
    this.#timeline = new Timeline(world.clock, world.log);
  }

  async toTheEnd(): Promise<DeployResult> {
    const resolved = await this.#phase('resolve', 'Look everything up', () => resolve(this.#options, this.#world));
    const plan = await this.#phase('plan', 'Plan', async () => this.#plan(resolved));
    if (this.#options.dryRun) return this.end('unchanged', []);
    const release = await this.#phase('build', 'Build and push', () => this.#build(resolved));
    const before = await this.#phase('prepare', 'Prepare the hosts', () => this.#prepare(resolved, release));
    if (await isServing(this.#options, plan, release, before, this.#world)) return this.#unchanged();
    const change = deployChange(this.#options, release, before, this.#world);
    const rollout = await this.#phase('waves', 'Roll out', () => rollOut(this.#world, plan, change));
    this.#ending = { ...this.#ending, targets: rollout.targets };
    if (rollout.state === 'failed') return this.#revert(plan, release, { ...rollout, before: before.releases });
    const warnings = await this.#phase('commit', 'Commit', () =>
      commit(this.#options, resolved.fleet, release, this.#world),
    );
    this.#warn(warnings);
    return this.end('succeeded', []);
  }

  end(outcome: Outcome, problems: readonly Problem[]): DeployResult {
    const { phases } = this.#timeline;
    return { ...this.#ending, outcome, problems, phases, durationSeconds: this.#timeline.secondsSinceStart() };
  }

  #unchanged(): DeployResult {
    const { previousRelease } = this.#ending;
    this.#world.log.info(`Every host serves the same images, models and files already, as release ${previousRelease}.`);
    this.#ending = { ...this.#ending, release: previousRelease };
    return this.end('unchanged', []);
  }

  #plan(resolved: Resolved): Plan {
    const plan = makePlan(this.#options, resolved);
    for (const line of describePlan(plan)) this.#world.log.info(line);
    this.#warn(resolved.draft.warnings);
    return plan;
  }

  async #build(resolved: Resolved): Promise<BuiltRelease> {
    const id = releaseId(new Date(this.#world.clock.now()), this.#options.commit);
    this.#world.log.info(`Release ${id}`);
    const release = await build(this.#options, resolved, id, this.#world);
    this.#ending = summarise(release, this.#ending);
    return release;
  }

  async #prepare(resolved: Resolved, release: BuiltRelease): Promise<Before> {
    const before = await prepare(this.#options, resolved.fleet, release, this.#world);
    const [previousRelease] = before.releases.values();
    this.#ending = { ...this.#ending, previousRelease };
    return before;
  }

  async #revert(
    plan: Plan,
    release: BuiltRelease,
    failed: Extract<Awaited<ReturnType<typeof rollOut>>, { state: 'failed' }> & { before: Before['releases'] },
  ): Promise<DeployResult> {
    for (const { code, message } of failed.problems) this.#world.log.info(`${code}: ${message}`);
    if (!this.#options.rollbackOnFailure) return this.end('rollback-failed', [...failed.problems, LEFT_AS_IT_IS]);
    const result = await this.#phase('revert', 'Put back what served before', () =>
      revert(this.#options, plan, release, failed, this.#world),
    );
    if (result.outcome === 'rolled-back') return this.end('rolled-back', failed.problems);
    return this.end('rollback-failed', [...failed.problems, ...result.problems]);
  }

  #warn(warnings: readonly string[]): void {
    for (const warning of warnings) this.#world.log.warning(warning);
    this.#ending = { ...this.#ending, warnings: [...this.#ending.warnings, ...warnings] };
  }

  #phase: Timeline['phase'] = (phase, title, work) => this.#timeline.phase(phase, title, work);
}

const LEFT_AS_IT_IS: Problem = {
  code: 'NOT_ROLLED_BACK',
  message: 'The hosts were left as they are, since rollback-on-failure is false.',
  fix: 'Deploy a release that works, or put the one before back by hand.',
};

function cancelled(error: unknown): Problem {
  return { code: 'CANCELLED', message: error instanceof Error ? error.message : 'The run was cancelled.' };
}
