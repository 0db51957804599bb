import { formatDuration } from '../duration.js';
import { problem } from '../problem.js';
import type { HealthCheck, TargetGroup } from './target.js';
import type { Change } from './watched.js';

/** The numbers that the gate decides by. `policyFor` computes them from a target group. */
export interface GatePolicy {
  readonly intervalSeconds: number;
  /** After a swap in place, `healthy` may be the old container's for this long. */
  readonly observationWindowSeconds: number;
  /** A target that turned unhealthy cannot be healthy again sooner. */
  readonly recoverySeconds: number;
  /** How long `healthy` must hold without a break. */
  readonly stableForSeconds: number;
  /** Two observations further apart do not make one stretch. */
  readonly longestGapSeconds: number;
  /** How long a target may be missing from the group before that is final. */
  readonly registrationGraceSeconds: number;
  /** Each target: from its change, or the start of the gate where that is later, to a stable `healthy`. */
  readonly targetSeconds: number;
  /** From the last step forward of any target. */
  readonly progressSeconds: number;
  /** From the start of the gate. */
  readonly totalSeconds: number;
  /** How many targets must be proven; all of them where it is left out. */
  readonly minimumHealthy?: number;
  /** One line that says where the numbers come from. */
  readonly explanation: string;
}

export interface PolicyOptions {
  readonly healthTimeoutSeconds?: number | undefined;
  readonly stableForSeconds?: number | undefined;
  /** The longest `start_period` of the compose health checks, for applications that start slowly. */
  readonly startPeriodSeconds?: number | undefined;
  readonly minimumHealthy?: number | undefined;
}

/** Less shows nothing: a crash loop that waits for its first request takes seconds to show (our choice). */
export const LEAST_STABLE_SECONDS = 10;
/** RegisterTargets and DescribeTargetHealth are eventually consistent; AWS names no bound (our choice). */
const REGISTRATION_GRACE_SECONDS = 30;
/** From RegisterTargets to the first health check, which AWS does not bound either (our choice). */
const REGISTRATION_SECONDS = 30;
/** Applications that need a while for their first answer are common; a default must not fail them (our choice). */
const LEAST_TARGET_SECONDS = 120;
/** For the last look at the hosts: one command through SSM, with a retry (our choice). */
const VERIFICATION_SECONDS = 60;

/** Computes every wait from the target group's own numbers. Throws a ProblemsError (INPUT_INVALID). */
export function policyFor({ healthCheck }: Pick<TargetGroup, 'healthCheck'>, options: PolicyOptions = {}): GatePolicy {
  const { intervalSeconds } = healthCheck;
  const stableForSeconds = options.stableForSeconds ?? Math.max(intervalSeconds, LEAST_STABLE_SECONDS);
  const waits = {
    intervalSeconds,
    observationWindowSeconds: observationWindow(healthCheck),
    recoverySeconds: healthCheck.healthyThreshold * intervalSeconds,
    stableForSeconds,
    longestGapSeconds: Math.max(intervalSeconds, LEAST_STABLE_SECONDS),
    registrationGraceSeconds: REGISTRATION_GRACE_SECONDS,
  };
  const targetSeconds = options.healthTimeoutSeconds ?? defaultTimeout(waits, options.startPeriodSeconds ?? 0);
  const policy = {
    ...waits,
    targetSeconds,
    progressSeconds: targetSeconds,
    totalSeconds: targetSeconds + VERIFICATION_SECONDS,
    ...(options.minimumHealthy === undefined ? {} : { minimumHealthy: options.minimumHealthy }),
  };
  refuse(policy);
  return { ...policy, explanation: explain(healthCheck, policy) };
}

/** The shortest time in which a target can be proven after its change; a fresh one has one check to pass first. */
export function leastSeconds(policy: GatePolicy, kind: Change['kind']): number {
  const { observationWindowSeconds, stableForSeconds } = policy;
  return kind === 'registered' || kind === 'started' ? stableForSeconds : observationWindowSeconds + stableForSeconds;
}

/**
 * How long a load balancer that has stopped getting good answers can still say `healthy`: it needs that many failed
 * checks, an interval apart, and the last one may take its whole timeout.
 */
function observationWindow({ unhealthyThreshold, intervalSeconds, timeoutSeconds }: HealthCheck): number {
  return unhealthyThreshold * intervalSeconds + timeoutSeconds;
}

/** Registration, the application's own start, one fall to `unhealthy` and the way back, and the stretch. */
function defaultTimeout(
  waits: Pick<GatePolicy, 'observationWindowSeconds' | 'recoverySeconds' | 'stableForSeconds'>,
  startPeriodSeconds: number,
): number {
  const { observationWindowSeconds, recoverySeconds, stableForSeconds } = waits;
  const sum = REGISTRATION_SECONDS + startPeriodSeconds + observationWindowSeconds + recoverySeconds + stableForSeconds;
  return Math.max(sum, LEAST_TARGET_SECONDS);
}

function refuse(policy: Omit<GatePolicy, 'explanation'>): void {
  const { stableForSeconds, targetSeconds, minimumHealthy = 1 } = policy;
  if (!(stableForSeconds >= LEAST_STABLE_SECONDS)) {
    throw invalid(
      'stable-for',
      `${formatDuration(stableForSeconds)} is too short to prove anything.`,
      'Set 10s or more.',
    );
  }
  if (!(targetSeconds > stableForSeconds)) {
    const times = `${formatDuration(targetSeconds)} is not longer than stable-for (${formatDuration(stableForSeconds)})`;
    throw invalid('health-timeout', `${times}, so no target could ever pass.`, 'Raise health-timeout.');
  }
  if (!Number.isInteger(minimumHealthy) || minimumHealthy < 1) {
    throw invalid('minimum-healthy', `${minimumHealthy} targets prove nothing.`, 'Ask for one target at least.');
  }
}

function invalid(where: string, message: string, fix: string): Error {
  return problem('INPUT_INVALID', message, { where, fix });
}

function explain(check: HealthCheck, policy: Omit<GatePolicy, 'explanation'>): string {
  const { intervalSeconds, timeoutSeconds, healthyThreshold, unhealthyThreshold } = check;
  const window = formatDuration(policy.observationWindowSeconds);
  const arithmetic = `${unhealthyThreshold} × ${intervalSeconds} s + ${timeoutSeconds} s`;
  return [
    `checks every ${intervalSeconds} s, healthy after ${healthyThreshold}, unhealthy after ${unhealthyThreshold}`,
    `a swap in place is believed after ${window} (${arithmetic})`,
    `healthy must hold for ${formatDuration(policy.stableForSeconds)}`,
    `limits: ${formatDuration(policy.targetSeconds)} a target, ${formatDuration(policy.progressSeconds)} without progress, ${formatDuration(policy.totalSeconds)} in all`,
  ].join('; ');
}
