import type { TargetHealth } from './target.js';

/**
 * What one line of DescribeTargetHealth means to the gate.
 * - `healthy`: the load balancer's checks pass.
 * - `new`: registered, no check has decided yet. Nothing said before can be about this registration.
 * - `failing`: checks fail; slow starts look like this too, so it is not final.
 * - `leaving`: being deregistered.
 * - `missing`: not in the group (any more, or yet).
 * - `hopeless`: will not become healthy by waiting.
 * - `unclear`: not serving as far as anyone can tell.
 */
export interface Sighting {
  readonly kind: 'healthy' | 'new' | 'failing' | 'leaving' | 'missing' | 'hopeless' | 'unclear';
  /** The problem's code, should it end like this. */
  readonly code: string;
  /** The load balancer's own words, verbatim. */
  readonly state: string;
  readonly reason?: string;
  readonly description?: string;
}

const STATES = ['initial', 'healthy', 'unhealthy', 'unhealthy.draining', 'unused', 'draining', 'unavailable'] as const;
type State = (typeof STATES)[number];

const REASONS = [
  'Elb.RegistrationInProgress',
  'Elb.InitialHealthChecking',
  'Elb.InternalError',
  'Target.ResponseCodeMismatch',
  'Target.Timeout',
  'Target.FailedHealthChecks',
  'Target.NotRegistered',
  'Target.NotInUse',
  'Target.DeregistrationInProgress',
  'Target.InvalidState',
  'Target.IpUnusable',
  'Target.HealthCheckDisabled',
] as const;
type Reason = (typeof REASONS)[number];

type Meaning = Pick<Sighting, 'kind' | 'code'>;

/** Reads one target's line; undefined is a target that the group does not list. States: DescribeTargetHealth. */
export function readSighting(health: TargetHealth | undefined): Sighting {
  if (!health) return { kind: 'missing', code: 'TARGET_NOT_REGISTERED', state: 'unlisted' };
  const { state, reason, description } = health;
  return {
    ...meaningOf(known(STATES, state), known(REASONS, reason)),
    state,
    ...(reason === undefined ? {} : { reason }),
    ...(description === undefined ? {} : { description }),
  };
}

function known<T extends string>(words: readonly T[], word: string | undefined): T | undefined {
  return words.find((candidate) => candidate === word);
}

function meaningOf(state: State | undefined, reason: Reason | undefined): Meaning {
  switch (state) {
    case 'healthy':
      return { kind: 'healthy', code: 'TARGET_UNSTABLE' };
    case 'initial':
      return { kind: 'new', code: 'TARGET_STILL_INITIAL' };
    case 'unhealthy':
      return { kind: 'failing', code: failureCode(reason) };
    case 'unused':
      return unusedMeaning(reason);
    case 'draining':
    // Only network load balancers say it; whoever says it sends no new requests.
    case 'unhealthy.draining':
      return { kind: 'leaving', code: 'TARGET_DRAINING' };
    case 'unavailable':
      return {
        kind: 'unclear',
        code: reason === 'Target.HealthCheckDisabled' ? 'TARGET_CHECKS_DISABLED' : 'TARGET_HEALTH_UNAVAILABLE',
      };
    case undefined:
      return { kind: 'unclear', code: 'TARGET_STATE_UNKNOWN' };
    default:
      return state satisfies never;
  }
}

function failureCode(reason: Reason | undefined): string {
  switch (reason) {
    case 'Target.ResponseCodeMismatch':
      return 'TARGET_CODE_MISMATCH';
    case 'Target.Timeout':
      return 'TARGET_TIMEOUT';
    case 'Target.FailedHealthChecks':
      return 'TARGET_CONNECTION_FAILED';
    case 'Elb.InternalError':
      return 'LOAD_BALANCER_ERROR';
    case 'Elb.RegistrationInProgress':
    case 'Elb.InitialHealthChecking':
    case 'Target.NotRegistered':
    case 'Target.NotInUse':
    case 'Target.DeregistrationInProgress':
    case 'Target.InvalidState':
    case 'Target.IpUnusable':
    case 'Target.HealthCheckDisabled':
    case undefined:
      return 'TARGET_UNHEALTHY';
    default:
      return reason satisfies never;
  }
}

function unusedMeaning(reason: Reason | undefined): Meaning {
  switch (reason) {
    case 'Target.NotRegistered':
      return { kind: 'missing', code: 'TARGET_NOT_REGISTERED' };
    case 'Target.NotInUse':
      return { kind: 'hopeless', code: 'TARGET_NOT_IN_USE' };
    case 'Target.InvalidState':
      return { kind: 'hopeless', code: 'TARGET_INSTANCE_NOT_RUNNING' };
    case 'Target.IpUnusable':
      return { kind: 'hopeless', code: 'TARGET_IP_UNUSABLE' };
    case 'Elb.RegistrationInProgress':
    case 'Elb.InitialHealthChecking':
    case 'Elb.InternalError':
    case 'Target.ResponseCodeMismatch':
    case 'Target.Timeout':
    case 'Target.FailedHealthChecks':
    case 'Target.DeregistrationInProgress':
    case 'Target.HealthCheckDisabled':
    case undefined:
      return { kind: 'unclear', code: 'TARGET_UNUSED' };
    default:
      return reason satisfies never;
  }
}

/** The load balancer's words on one line: `unhealthy, Target.Timeout (Request timed out)`. */
export function quote({ state, reason, description }: Sighting): string {
  return `${state}${reason ? `, ${reason}` : ''}${description ? ` (${description})` : ''}`;
}
