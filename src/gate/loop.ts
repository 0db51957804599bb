import { isTransient } from '../aws/errors.js';
import type { TargetGroups } from '../aws/target-groups.js';
import type { Clock } from '../clock.js';
import { formatDuration } from '../duration.js';
import type { Log } from '../log.js';
import { describeProblem, type Problem, ProblemsError } from '../problem.js';
import { advance, beginWatch, conclude, NO_TARGETS, type Verdict, type Watch } from './judge.js';
import { type LookReason, lookDue, nextPollIn } from './pace.js';
import type { GatePolicy } from './policy.js';
import { clusterProblems } from './problems.js';
import type { ContainerObservation, Observation, TargetProof, WatchedTarget } from './watched.js';

export interface GateGroup {
  readonly arn: string;
  readonly policy: GatePolicy;
  readonly watched: readonly WatchedTarget[];
}

/** Reports the containers on the hosts of the watched targets. What it rejects with is told, and asked again later. */
export type Inspect = (reason: LookReason, signal: AbortSignal) => Promise<readonly ContainerObservation[]>;

export interface GateOptions {
  readonly groups: readonly GateGroup[];
  readonly targetGroups: Pick<TargetGroups, 'health'>;
  /** Required where a watched target names containers. */
  readonly inspect?: Inspect | undefined;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly log: Log;
  readonly signal?: AbortSignal | undefined;
}

export type GateResult = {
  readonly targets: readonly GateProof[];
  readonly waitedSeconds: number;
  /** Calls of DescribeTargetHealth, answered or not. */
  readonly apiCalls: number;
} & (
  | { readonly verdict: 'passed' }
  | { readonly verdict: 'failed'; readonly reason: Problem; readonly problems: readonly Problem[] }
);

export interface GateProof extends TargetProof {
  /** The target group's ARN. */
  readonly group: string;
}

/**
 * Watches all groups until every one has passed at the same time, or one has failed. Throttling and server errors only
 * slow it down; what AWS refuses for good (AWS_ACCESS_DENIED, TARGET_GROUP_NOT_FOUND, …) fails it at once. An abort
 * rejects with the signal's reason.
 */
export async function gate(options: GateOptions): Promise<GateResult> {
  return new Gate(options).decide();
}

interface Watched {
  readonly arn: string;
  readonly name: string;
  watch: Watch;
  told: string;
}

class Gate {
  readonly #options: GateOptions;
  readonly #startedAt: number;
  readonly #groups: readonly Watched[];
  readonly #ended = new AbortController();
  #apiCalls = 0;
  #failures = 0;
  #pollAt: number;
  #lookedAt: number;
  #look: Promise<void> | undefined;
  #lookError: unknown;

  constructor(options: GateOptions) {
    if (!options.inspect && options.groups.some(({ watched }) => watched.some(({ containers }) => containers))) {
      throw new Error('Watched targets name containers, but nothing can look at them.');
    }
    this.#options = options;
    this.#startedAt = this.#pollAt = this.#lookedAt = options.clock.now();
    this.#groups = options.groups.map(({ arn, ...group }) => ({
      arn,
      name: arn.split('/')[1] ?? arn,
      watch: beginWatch({ ...group, startedAt: this.#startedAt }),
      told: '',
    }));
  }

  async decide(): Promise<GateResult> {
    for (const group of this.#groups) this.#announce(group);
    try {
      for (;;) {
        this.#options.signal?.throwIfAborted();
        const refusal = await this.#poll();
        const result = refusal ? this.#refused(refusal) : this.#conclude();
        if (result) return result;
        this.#lookAtHosts();
        await this.#pause();
      }
    } finally {
      this.#ended.abort();
    }
  }

  /** Asks every group once, when it is time. Returns the error that no waiting will mend, if there was one. */
  async #poll(): Promise<ProblemsError | undefined> {
    const { clock, random } = this.#options;
    if (clock.now() < this.#pollAt) return undefined;
    const errors = (await Promise.all(this.#groups.map((group) => this.#ask(group)))).filter(Boolean);
    this.#options.signal?.throwIfAborted();
    const refusal = errors.find((error) => !isTransient(error));
    if (refusal !== undefined && !(refusal instanceof ProblemsError)) throw refusal;
    this.#countFailures(errors);
    const watches = this.#groups.map(({ watch }) => watch);
    this.#pollAt = clock.now() + nextPollIn(watches, { now: clock.now(), failures: this.#failures, random });
    return refusal;
  }

  async #ask(group: Watched): Promise<unknown> {
    const { clock, targetGroups, signal } = this.#options;
    const askedAt = clock.now();
    this.#apiCalls += 1;
    try {
      const targets = await targetGroups.health(group.arn, signal);
      group.watch = advance(group.watch, { kind: 'balancer', askedAt, at: clock.now(), targets });
      return undefined;
    } catch (error) {
      return error;
    }
  }

  #countFailures(errors: readonly unknown[]): void {
    const [error] = errors;
    if (error === undefined) {
      if (this.#failures > 0) this.#options.log.info('The load balancer answers again.');
      this.#failures = 0;
      return;
    }
    this.#failures += 1;
    if (this.#failures === 1) this.#options.log.info(`Asking more slowly: ${messageOf(error)}`);
  }

  /** Starts a look at the hosts where one is due. The load balancer is asked on while it runs. */
  #lookAtHosts(): void {
    const { inspect, clock } = this.#options;
    if (!inspect || this.#look) return;
    const askedAt = clock.now();
    const watches = this.#groups.map(({ watch }) => watch);
    const reason = lookDue(watches, askedAt, this.#lookedAt);
    if (!reason) return;
    this.#lookedAt = askedAt;
    this.#look = inspect(reason, this.#ended.signal)
      .then((containers) => this.#observe({ kind: 'hosts', askedAt, at: clock.now(), containers }))
      .catch((error: unknown) => this.#lookFailed(error))
      .finally(() => {
        this.#look = undefined;
      });
  }

  #observe(observation: Observation): void {
    for (const group of this.#groups) group.watch = advance(group.watch, observation);
  }

  #lookFailed(error: unknown): void {
    if (this.#ended.signal.aborted) return;
    if (!(error instanceof ProblemsError)) this.#lookError = error;
    else this.#options.log.warning(`The hosts could not be looked at, trying again: ${error.message}`);
  }

  #conclude(): GateResult | undefined {
    if (this.#lookError !== undefined) throw this.#lookError;
    const now = this.#options.clock.now();
    const verdicts = this.#groups.map((group) => ({ group, verdict: conclude(group.watch, now) }));
    for (const { group, verdict } of verdicts) this.#tell(group, verdict);
    const problems = verdicts.flatMap(({ verdict }) => (verdict.state === 'failed' ? verdict.problems : []));
    const [reason = verdicts.length === 0 ? NO_TARGETS : undefined] = problems;
    if (reason) return { verdict: 'failed', reason, problems, ...this.#figures() };
    return verdicts.every(({ verdict }) => verdict.state === 'passed')
      ? { verdict: 'passed', ...this.#figures() }
      : undefined;
  }

  #refused({ problems }: ProblemsError): GateResult | undefined {
    const [reason, ...others] = clusterProblems(problems);
    if (!reason) return undefined;
    this.#options.log.info(`The gate can not go on. ${describeProblem(reason)}`);
    return { verdict: 'failed', reason, problems: [reason, ...others], ...this.#figures() };
  }

  #figures(): { targets: GateProof[]; waitedSeconds: number; apiCalls: number } {
    const now = this.#options.clock.now();
    const targets = this.#groups.flatMap(({ arn, watch }) =>
      proofsOf(conclude(watch, now)).map((proof) => ({ group: arn, ...proof })),
    );
    return { targets, waitedSeconds: Math.round((now - this.#startedAt) / 1000), apiCalls: this.#apiCalls };
  }

  /** Until the next poll, the end of a look, or the last moment of the gate, whichever comes first. */
  async #pause(): Promise<void> {
    const { clock, signal } = this.#options;
    const ends = this.#groups.map(({ watch }) => watch.startedAt + watch.policy.totalSeconds * 1000);
    const wake = new AbortController();
    const cancel = AbortSignal.any(signal ? [wake.signal, signal] : [wake.signal]);
    const until = Math.min(this.#pollAt, ...ends);
    const sleep = clock.sleep(Math.max(until - clock.now(), 0), cancel);
    try {
      await (this.#look ? Promise.race([sleep, this.#look]) : sleep);
    } finally {
      sleep.catch(() => {});
      wake.abort();
    }
  }

  #announce({ name, watch }: Watched): void {
    const { policy, targets, startedAt } = watch;
    const { minimumHealthy = targets.length } = policy;
    const clocks = [
      `each target until ${clockTime(startedAt + policy.targetSeconds * 1000)}`,
      `progress every ${formatDuration(policy.progressSeconds)}`,
      `all until ${clockTime(startedAt + policy.totalSeconds * 1000)}`,
    ];
    this.#options.log.info(`${name}: ${minimumHealthy} of ${targets.length} targets must prove that they serve.`);
    this.#options.log.info(`${name}: ${policy.explanation}.`);
    this.#options.log.info(`${name}: time limits: ${clocks.join(', ')}.`);
  }

  /** Says what changed since the last time, or nothing. */
  #tell(group: Watched, verdict: Verdict): void {
    const words = describeVerdict(verdict);
    if (words === group.told) return;
    group.told = words;
    const until = verdict.state === 'waiting' ? `, until ${clockTime(verdict.until)} at the latest` : '';
    this.#options.log.info(`${group.name}: ${words}${until}.`);
  }
}

function describeVerdict(verdict: Verdict): string {
  switch (verdict.state) {
    case 'waiting':
      return `waiting for ${verdict.waitingFor}`;
    case 'passed':
      return `${verdict.proof.filter(({ outcome }) => outcome === 'proven').length} of ${verdict.proof.length} targets proven`;
    case 'failed':
      return `failed, ${describeProblem(verdict.reason).replace(/\.$/, '')}`;
    default:
      return verdict satisfies never;
  }
}

function proofsOf(verdict: Verdict): readonly TargetProof[] {
  return verdict.state === 'passed' ? verdict.proof : verdict.perTarget;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The runner's logs are in UTC, and so is this: `15:30:05Z`. */
function clockTime(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(11, 19)}Z`;
}
