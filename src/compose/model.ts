import type { Problem } from '../problem.js';

/** A compose model as `docker compose config --format json` prints it. Unknown keys are kept, never dropped. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type ComposeService = { readonly [key: string]: Json };
export interface ComposeModel {
  readonly name?: string;
  readonly services: { readonly [name: string]: ComposeService };
  readonly [key: string]: Json | undefined;
}

export type Role = 'rolled' | 'pinned';
export type SlotName = 'blue' | 'green';

/** A slot: where the rolled services run on a host, with the host port of each service behind the load balancer. */
export interface Slot {
  readonly name: SlotName;
  readonly ports: { readonly [service: string]: number };
}

/** A rolled or pinned service of a release, as the host scripts and the plan need it. */
export interface ReleaseService {
  readonly name: string;
  readonly role: Role;
  /** Swapped stop-first, after the gate has passed. */
  readonly exclusive: boolean;
  /** Image reference by digest where it is known. */
  readonly image: string;
  /** sha256 of the canonical definition and the files it mounts; equal means: leave it alone. */
  readonly definition: string;
  /** Has a named or anonymous volume: never recreated unless it says so. */
  readonly stateful: boolean;
  /** `x-ec2-compose-deploy: {recreate: true}`: may be recreated although it has a volume. */
  readonly recreate: boolean;
}

/** A file of the repository that travels in the bundle. `path` is relative to the project directory, with `/`. */
export interface BundleFile {
  readonly path: string;
  /** Where it is read from, absolute. */
  readonly source: string;
  readonly mode: number;
  readonly bytes: number;
}

/** A compiled release: what the host needs to run it. Deterministic: the same inputs give byte-identical output. */
export interface CompiledRelease {
  /** The compose project that holds the pinned services, the shared networks and volumes. Named as the app. */
  readonly shared: ComposeModel;
  /** One compose model a slot, with slot-bound service names. */
  readonly slots: { readonly [slot in SlotName]?: ComposeModel };
  readonly services: readonly ReleaseService[];
  /** The services behind the load balancer, with the port the compose file publishes for each. */
  readonly web: readonly { readonly service: string; readonly publishedPort: number; readonly containerPort: number }[];
  readonly files: readonly BundleFile[];
  /** Variables the model needs on the host: `${NAME}` with default or `required`. */
  readonly variables: readonly { readonly name: string; readonly required: boolean; readonly default?: string }[];
  /** Env files with values for the model's `${…}`, relative to the bundle's files, in the order compose takes them. */
  readonly envFiles: readonly string[];
  /** What keeps two slots from running side by side on one host; empty where blue-green is possible. */
  readonly obstacles: readonly Problem[];
  readonly warnings: readonly string[];
}
