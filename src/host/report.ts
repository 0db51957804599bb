import type { Problem } from '../problem.js';

/** What a verb says at its end: one line `@@report {json}` of at most 2,000 characters, the last line of stdout. */
export interface HostReport {
  readonly v: 1;
  readonly verb: string;
  readonly ok: boolean;
  readonly release: string;
  /** Seconds since the epoch, the host's clock. */
  readonly at: number;
  readonly problems: readonly Problem[];
  /** The release that `current` points to, or empty. */
  readonly current: string;
  readonly containers: readonly ContainerFact[];
  readonly pinned: readonly PinnedFact[];
  readonly facts: { readonly [name: string]: string | number | boolean };
}

/** A container of a rolled service: what runs, since when, and whether it was restarted. */
export interface ContainerFact {
  readonly service: string;
  /** First 12 characters of the container id. */
  readonly id: string;
  /** `sha256:…` of the image as the registry knows it; the image id where it was not pulled. */
  readonly digest: string;
  /** Docker's State.Status: running, restarting, exited, … */
  readonly state: string;
  /** healthy, unhealthy, starting; empty without a health check. */
  readonly health: string;
  /** Seconds since the epoch. */
  readonly startedAt: number;
  readonly restarts: number;
  readonly exitCode: number;
}

/** A pinned service as the host found it against the release. */
export interface PinnedFact {
  readonly service: string;
  readonly state: 'missing' | 'same' | 'changed' | 'recreated' | 'started';
}
