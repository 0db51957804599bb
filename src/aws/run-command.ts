/** The end of one command on one host. `stdout` is cut at 24,000, `stderr` at 8,000 characters by the service. */
export interface HostResult {
  readonly instance: string;
  /** The invocation's Status: Success, Failed, TimedOut, Cancelled, or `Undeliverable` where it never started. */
  readonly status: string;
  /** StatusDetails with spaces taken out: Success, Failed, ExecutionTimedOut, DeliveryTimedOut, … */
  readonly details: string;
  /** −1 where the script did not start or was killed by a signal. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly startedAt?: number;
  readonly endedAt?: number;
}

export interface HostCommand {
  readonly hosts: readonly string[];
  /** The whole script, first line `#!/bin/bash`; under 24 KB (SCRIPT_TOO_LARGE). */
  readonly script: string;
  /** Shown in the console; at most 100 characters. */
  readonly comment: string;
  /** What the script may take on the host, once started. */
  readonly executionTimeoutSeconds: number;
  readonly signal?: AbortSignal;
}

/** Runs scripts on hosts. Implemented over SSM Run Command here, by the simulation elsewhere. */
export interface RunCommand {
  /**
   * Sends one command to every host (50 instance ids a call) and resolves when each has ended, one result a host, in the
   * order given. A host that does not answer ends as `Undeliverable` by our own watchdog. Never judges by the command's
   * aggregate status. An abort cancels what runs and rejects with the signal's reason.
   */
  run(command: HostCommand): Promise<HostResult[]>;
  /** Which of the hosts SSM knows and calls Online, with platform and agent version. Unknown ids are simply absent. */
  managed(hosts: readonly string[]): Promise<ManagedHost[]>;
}

export interface ManagedHost {
  readonly instance: string;
  readonly ping: string;
  readonly platform: string;
  readonly agentVersion: string;
}
