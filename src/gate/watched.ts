import type { ContainerFact } from '../host/report.js';
import type { Problem } from '../problem.js';
import type { TargetHealth, TargetId } from './target.js';

/**
 * What made the target new, and when (milliseconds since the epoch, the clock of the gate).
 * - `registered`: RegisterTargets was called at that time; the container was already running.
 * - `swapped`: the container on a target that stayed registered was replaced; the time is when the host said it was done.
 * - `started`: a container was started on a target that stayed registered and was not healthy, where nothing ran before.
 * - `changed`: one of these, by someone else.
 */
export interface Change {
  readonly kind: 'registered' | 'swapped' | 'started' | 'changed';
  readonly at: number;
}

/** A target that the gate decides on. Without `containers` the load balancer's word is the whole proof. */
export interface WatchedTarget extends TargetId {
  readonly change: Change;
  /**
   * The containers that must run on its instance, the one that holds the target's port first; the others may also have
   * ended with 0. An empty list fails: it would prove nothing.
   */
  readonly containers?: readonly ExpectedContainer[];
}

export interface ExpectedContainer {
  readonly service: string;
  /** `sha256:…` of the image that was deployed. */
  readonly digest: string;
  /** The id the container had when it was started; a prefix is enough. */
  readonly id?: string;
}

/** A container as a look at its host found it. */
export interface ContainerObservation extends ContainerFact {
  readonly instance: string;
}

/** What the gate learns, in the order it learns it. Times are milliseconds since the epoch. */
export type Observation = BalancerLook | HostLook;

/** One answer of DescribeTargetHealth for the group. It holds for some moment between `askedAt` and `at`. */
export interface BalancerLook {
  readonly kind: 'balancer';
  readonly askedAt: number;
  readonly at: number;
  readonly targets: readonly TargetHealth[];
}

/** One look at the containers of hosts. It holds for some moment between `askedAt` and `at`. */
export interface HostLook {
  readonly kind: 'hosts';
  readonly askedAt: number;
  readonly at: number;
  readonly containers: readonly ContainerObservation[];
}

/** What is known of one target, and why it counts or does not. Times are milliseconds since the epoch. */
export interface TargetProof extends TargetId {
  readonly outcome: 'proven' | 'waiting' | 'failed';
  readonly change: Change;
  /** `healthy` counts when it is observed after this time. */
  readonly trustedFrom: number;
  /** The first `healthy` that counted, whatever came after. */
  readonly firstHealthyAt?: number;
  /** The last unbroken stretch of counted `healthy`: its first and last observation, and how many there were. */
  readonly healthySince?: number;
  readonly healthyUntil?: number;
  readonly observations: number;
  /** Health checks that every node of the load balancer has made in that stretch, at the least. */
  readonly checksCovered: number;
  /** The load balancer's last words, verbatim; `unobserved` before the first. */
  readonly albState: string;
  readonly albReason?: string;
  readonly albDescription?: string;
  /** The container that holds the port, as the last look at the host found it. */
  readonly containerId?: string;
  readonly digest?: string;
  readonly restarts?: number;
  /** When the last of the two looks began that found the same containers with the same restart counts. */
  readonly verifiedAt?: number;
  readonly reason?: Problem;
}
