import type { InstanceLookup } from '../aws/instances.js';
import type { Registry } from '../aws/registry.js';
import type { RunCommand } from '../aws/run-command.js';
import type { TargetGroups } from '../aws/target-groups.js';
import type { Clock } from '../clock.js';
import type { Hosts } from '../host/hosts.js';
import type { DockerCli } from '../image/docker.js';
import type { Log } from '../log.js';

/** Everything that a deploy touches, behind interfaces that a simulation can play too. */
export interface World {
  readonly targetGroups: TargetGroups;
  readonly runCommand: RunCommand;
  readonly hosts: Hosts;
  readonly registry: Registry;
  readonly instances: InstanceLookup;
  readonly docker: DockerCli;
  readonly clock: Clock;
  /** 0 ≤ x < 1, for jitter. */
  readonly random: () => number;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** A folder of this run alone, gone after it. */
  readonly scratch: string;
  /** Keeps a secret out of the log from now on. */
  readonly mask: (secret: string) => void;
}
