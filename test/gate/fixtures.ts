import { judge, type Verdict } from '../../src/gate/judge.js';
import { type GatePolicy, policyFor } from '../../src/gate/policy.js';
import type { GateRules } from '../../src/gate/rules.js';
import type { HealthCheck, TargetHealth } from '../../src/gate/target.js';
import type {
  BalancerLook,
  Change,
  ContainerObservation,
  HostLook,
  Observation,
  WatchedTarget,
} from '../../src/gate/watched.js';

/** The settings of a target group that nobody touched: 30 s, 5 s, 5 and 2. */
export const DEFAULT_CHECK: HealthCheck = {
  protocol: 'HTTP',
  port: 'traffic-port',
  path: '/',
  matcher: '200',
  intervalSeconds: 30,
  timeoutSeconds: 5,
  healthyThreshold: 5,
  unhealthyThreshold: 2,
};
export const QUICK_CHECK: HealthCheck = { ...DEFAULT_CHECK, intervalSeconds: 10, healthyThreshold: 2 };

/** Observation window 25 s, stretch 10 s, longest gap 10 s. */
export const quick: GatePolicy = policyFor({ healthCheck: QUICK_CHECK });
/** Observation window 65 s, stretch 30 s, longest gap 30 s. */
export const usual: GatePolicy = policyFor({ healthCheck: DEFAULT_CHECK });

export const A = { instance: 'i-0000000000000000a', port: 8080 };
export const B = { instance: 'i-0000000000000000b', port: 8080 };
export const DIGEST = `sha256:${'a'.repeat(64)}`;

export function target(kind: Change['kind'], options: Partial<WatchedTarget> = {}): WatchedTarget {
  return { ...A, change: { kind, at: 0 }, ...options };
}

export const withContainer = (kind: Change['kind']) =>
  target(kind, { containers: [{ service: 'web', digest: DIGEST, id: 'c0ffee000000' }] });

type Words = Pick<TargetHealth, 'state' | 'reason' | 'description'>;

export const HEALTHY: Words = { state: 'healthy' };
export const INITIAL: Words = {
  state: 'initial',
  reason: 'Elb.InitialHealthChecking',
  description: 'Initial health checks in progress',
};
export const UNHEALTHY: Words = {
  state: 'unhealthy',
  reason: 'Target.ResponseCodeMismatch',
  description: 'Health checks failed with these codes: [502]',
};
export const DRAINING: Words = { state: 'draining', reason: 'Target.DeregistrationInProgress' };

/** One answer of the load balancer, `seconds` after the start, that says the same of each target. */
export function balancer(seconds: number, words: Words | undefined, targets = [A]): BalancerLook {
  const at = seconds * 1000;
  return { kind: 'balancer', askedAt: at, at, targets: words ? targets.map((one) => ({ ...one, ...words })) : [] };
}

/** Answers every `step` seconds. */
export function answers(from: number, to: number, words: Words | undefined, step = 2): BalancerLook[] {
  const count = Math.floor((to - from) / step) + 1;
  return Array.from({ length: count }, (_, index) => balancer(from + index * step, words));
}

export function container(change: Partial<ContainerObservation> = {}): ContainerObservation {
  return {
    instance: A.instance,
    service: 'web',
    id: 'c0ffee000000',
    digest: DIGEST,
    state: 'running',
    health: '',
    startedAt: 0,
    restarts: 0,
    exitCode: 0,
    ...change,
  };
}

export function hosts(seconds: number, change: Partial<ContainerObservation> | 'gone' = {}): HostLook {
  const at = seconds * 1000;
  return { kind: 'hosts', askedAt: at, at, containers: change === 'gone' ? [] : [container(change)] };
}

interface Case {
  readonly policy?: GatePolicy;
  readonly watched?: readonly WatchedTarget[];
  readonly observations: readonly Observation[];
  /** Seconds since the start; the time of the last observation where it is left out. */
  readonly now?: number;
  readonly rules?: GateRules;
}

/** The verdict of a gate that started at 0. */
export function verdictOf({
  policy = quick,
  watched = [target('registered')],
  observations,
  now,
  rules,
}: Case): Verdict {
  const last = observations.at(-1)?.at ?? 0;
  return judge({
    policy,
    watched,
    observations,
    startedAt: 0,
    now: now === undefined ? last : now * 1000,
    ...(rules ? { rules } : {}),
  });
}

/** The code of a failure; anything else fails the test. */
export function failureOf(verdict: Verdict): string {
  if (verdict.state !== 'failed') throw new Error(`The gate did not fail: ${JSON.stringify(verdict)}`);
  return verdict.reason.code;
}
