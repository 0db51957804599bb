import type { InstanceState } from '../model/instances.js';

/**
 * The health of one target (an instance or address, and a port) as an Application Load Balancer tells it: a pure state
 * machine whose clock is the `at` of each event. Sources: the ELBv2 API model (states and reason codes), the user guide
 * of Application Load Balancers (texts, thresholds, deregistration delay).
 */
export type TargetPhase =
  | { readonly kind: 'gone' }
  | { readonly kind: 'unused'; readonly cause: UnusedCause }
  | { readonly kind: 'unavailable' }
  | { readonly kind: 'registering'; readonly until: number }
  | { readonly kind: 'initial'; readonly failures: number }
  | { readonly kind: 'healthy'; readonly failures: number }
  | { readonly kind: 'unhealthy'; readonly passes: number; readonly failure: CheckFailure }
  | { readonly kind: 'draining'; readonly until: number };

export type UnusedCause = 'not-in-use' | 'zone-not-enabled' | 'stopped' | 'terminated' | 'invalid-state';

export type CheckFailure =
  | { readonly kind: 'code'; readonly status: number }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'failed' };
export type CheckResult = { readonly kind: 'pass' } | CheckFailure;

/** What decides, besides the checks, whether a target can serve. An address that is no instance counts as `running`. */
export interface Surroundings {
  readonly instance: InstanceState;
  /** A listener or a rule of a load balancer forwards to the target group. */
  readonly groupInUse: boolean;
  readonly zoneEnabled: boolean;
  /** Lambda targets are not checked unless asked for. */
  readonly checked: boolean;
}

export interface HealthPolicy {
  readonly healthyThreshold: number;
  readonly unhealthyThreshold: number;
  readonly deregistrationDelaySeconds: number;
  /** How long a new target shows `Elb.RegistrationInProgress` before its first check. */
  readonly registrationMilliseconds: number;
  /**
   * What RegisterTargets does to a target that is still draining. AWS forbids it for addresses and says nothing about
   * instances, so a client has to survive both: `immediate` starts over at `initial` (what is seen in practice and the
   * default); `stays-draining` accepts the call, changes nothing, and the target is gone when its delay is over.
   */
  readonly reRegisterWhileDraining: 'immediate' | 'stays-draining';
}

export type TargetEvent =
  | { readonly kind: 'register'; readonly at: number; readonly surroundings: Surroundings }
  | { readonly kind: 'deregister'; readonly at: number }
  | { readonly kind: 'surroundings'; readonly at: number; readonly surroundings: Surroundings }
  | { readonly kind: 'check'; readonly at: number; readonly result: CheckResult }
  | { readonly kind: 'time'; readonly at: number };

export const NOT_REGISTERED: TargetPhase = { kind: 'gone' };

/** The phase after an event. Events that mean nothing in a phase (a late check result while draining) change nothing. */
export function step(phase: TargetPhase, event: TargetEvent, policy: HealthPolicy): TargetPhase {
  switch (event.kind) {
    case 'register':
      return register(phase, event, policy);
    case 'deregister':
      return deregister(phase, event.at, policy);
    case 'surroundings':
      return phase.kind === 'gone' || phase.kind === 'draining' ? phase : settle(phase, event, policy);
    case 'check':
      return judge(phase, event.result, policy);
    case 'time':
      return elapse(phase, event.at);
    default:
      return event satisfies never;
  }
}

/** When a `time` event will change the phase, in milliseconds since the epoch. */
export function nextChange(phase: TargetPhase): number | undefined {
  return phase.kind === 'registering' || phase.kind === 'draining' ? phase.until : undefined;
}

/** Checks are sent to it. */
export function isChecked(phase: TargetPhase): boolean {
  return phase.kind === 'initial' || phase.kind === 'healthy' || phase.kind === 'unhealthy';
}

/** It receives requests when no target of its group is healthy: the load balancer fails open. */
export function isLastResort(phase: TargetPhase): boolean {
  return phase.kind === 'registering' || phase.kind === 'unavailable' || isChecked(phase);
}

type Arrival = { readonly at: number; readonly surroundings: Surroundings };

function register(phase: TargetPhase, arrival: Arrival, policy: HealthPolicy): TargetPhase {
  if (phase.kind === 'gone') return settle(phase, arrival, policy);
  if (phase.kind === 'draining' && policy.reRegisterWhileDraining === 'immediate')
    return settle(NOT_REGISTERED, arrival, policy);
  return phase;
}

/** A target that no load balancer used has nothing to drain and is gone at once. */
function deregister(phase: TargetPhase, at: number, policy: HealthPolicy): TargetPhase {
  if (phase.kind === 'gone' || phase.kind === 'draining') return phase;
  if (phase.kind === 'unused' || policy.deregistrationDelaySeconds === 0) return NOT_REGISTERED;
  return { kind: 'draining', until: at + policy.deregistrationDelaySeconds * 1000 };
}

function settle(phase: TargetPhase, { at, surroundings }: Arrival, policy: HealthPolicy): TargetPhase {
  const cause = unusedCause(surroundings);
  if (cause) return { kind: 'unused', cause };
  if (!surroundings.checked) return { kind: 'unavailable' };
  const begins = phase.kind === 'gone' || phase.kind === 'unused' || phase.kind === 'unavailable';
  return begins ? { kind: 'registering', until: at + policy.registrationMilliseconds } : phase;
}

function unusedCause({ instance, groupInUse, zoneEnabled }: Surroundings): UnusedCause | undefined {
  if (instance === 'stopped' || instance === 'terminated') return instance;
  if (instance !== 'running') return 'invalid-state';
  if (!groupInUse) return 'not-in-use';
  return zoneEnabled ? undefined : 'zone-not-enabled';
}

/** One pass makes a new target healthy; after that only consecutive results up to a threshold count. */
function judge(phase: TargetPhase, result: CheckResult, policy: HealthPolicy): TargetPhase {
  switch (phase.kind) {
    case 'initial':
    case 'healthy': {
      if (result.kind === 'pass') return { kind: 'healthy', failures: 0 };
      const failures = phase.failures + 1;
      if (failures >= policy.unhealthyThreshold) return { kind: 'unhealthy', passes: 0, failure: result };
      return { kind: phase.kind, failures };
    }
    case 'unhealthy': {
      if (result.kind !== 'pass') return { kind: 'unhealthy', passes: 0, failure: result };
      const passes = phase.passes + 1;
      if (passes >= policy.healthyThreshold) return { kind: 'healthy', failures: 0 };
      return { ...phase, passes };
    }
    default:
      return phase;
  }
}

function elapse(phase: TargetPhase, at: number): TargetPhase {
  if (phase.kind === 'registering' && at >= phase.until) return { kind: 'initial', failures: 0 };
  if (phase.kind === 'draining' && at >= phase.until) return NOT_REGISTERED;
  return phase;
}

/** TargetHealth of DescribeTargetHealth, word for word. A healthy target has neither reason nor description. */
export interface ReportedHealth {
  readonly State: 'initial' | 'healthy' | 'unhealthy' | 'unused' | 'draining' | 'unavailable';
  readonly Reason?: string;
  readonly Description?: string;
}

export function report(phase: TargetPhase): ReportedHealth {
  switch (phase.kind) {
    case 'gone':
      return words('unused', 'Target.NotRegistered', 'Target is not registered to the target group');
    case 'unused':
      return UNUSED[phase.cause];
    case 'unavailable':
      return words('unavailable', 'Target.HealthCheckDisabled', 'Health checks are not enabled for this target');
    case 'registering':
      return words('initial', 'Elb.RegistrationInProgress', 'Target registration is in progress');
    case 'initial':
      return words('initial', 'Elb.InitialHealthChecking', 'Initial health checks in progress');
    case 'healthy':
      return { State: 'healthy' };
    case 'unhealthy':
      return unhealthy(phase.failure);
    case 'draining':
      return words('draining', 'Target.DeregistrationInProgress', 'Target deregistration is in progress');
    default:
      return phase satisfies never;
  }
}

function unhealthy(failure: CheckFailure): ReportedHealth {
  switch (failure.kind) {
    case 'code':
      return words(
        'unhealthy',
        'Target.ResponseCodeMismatch',
        `Health checks failed with these codes: [${failure.status}]`,
      );
    case 'timeout':
      return words('unhealthy', 'Target.Timeout', 'Request timed out');
    case 'failed':
      return words('unhealthy', 'Target.FailedHealthChecks', 'Health checks failed');
    default:
      return failure satisfies never;
  }
}

function words(State: ReportedHealth['State'], Reason: string, Description: string): ReportedHealth {
  return { State, Reason, Description };
}

const UNUSED: { readonly [cause in UnusedCause]: ReportedHealth } = {
  'not-in-use': words(
    'unused',
    'Target.NotInUse',
    'Target group is not configured to receive traffic from the load balancer',
  ),
  'zone-not-enabled': words(
    'unused',
    'Target.NotInUse',
    'Target is in an Availability Zone that is not enabled for the load balancer',
  ),
  stopped: words('unused', 'Target.InvalidState', 'Target is in the stopped state'),
  terminated: words('unused', 'Target.InvalidState', 'Target is in the terminated state'),
  'invalid-state': words('unused', 'Target.InvalidState', 'Target is in an invalid state'),
};
