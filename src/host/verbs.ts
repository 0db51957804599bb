import type { ReleaseService, Slot, SlotName } from '../compose/model.js';

/** Which copy of which application; `project` is the compose project of the pinned services. */
export interface HostApp {
  readonly app: string;
  readonly environment: string;
  readonly project: string;
}

/** The registry that the host logs in to with its instance role. Absent: pulls need no login. */
export interface HostRegistry {
  readonly host: string;
  readonly region: string;
}

/** A network or volume of the shared model that the slots use as external: its key there and its real name. */
export interface SharedResource {
  readonly kind: 'network' | 'volume';
  readonly key: string;
  readonly name: string;
}

export interface PrepareArguments extends HostApp {
  readonly release: string;
  readonly commit: string;
  /** The slot that the release will run in, with the host port of each service behind the load balancer. */
  readonly slot: Slot;
  /** Reference of the bundle image, by digest. */
  readonly bundle: string;
  readonly registry?: HostRegistry;
  readonly services: readonly ReleaseService[];
  readonly resources: readonly SharedResource[];
  /** Env files of the bundle, relative to its files/, in compose's order: a later one wins. */
  readonly envFiles: readonly string[];
  /** Names of the variables that must have a value on the host. */
  readonly requiredVariables: readonly string[];
  readonly minimumFreeMegabytes: number;
  /** `x86_64` or `arm64`, where the images are built for one only. */
  readonly architecture?: string;
}

export interface SwapArguments extends HostApp {
  readonly release: string;
  readonly slot: SlotName;
  readonly registry?: HostRegistry;
}

export interface VerifyArguments extends HostApp {
  readonly release: string;
  readonly slot: SlotName;
  /** Image reference by rolled service. */
  readonly images: { readonly [service: string]: string };
  /** The services behind the load balancer: they may not end, even with exit code 0. */
  readonly web: readonly string[];
}

export interface CommitArguments extends HostApp {
  readonly release: string;
  /** How many releases stay on the host; default 5. What runs or is referred to stays anyway. */
  readonly keep?: number;
  /** This app's repositories, with registry, without tag or digest: only their images are ever removed. */
  readonly repositories: readonly string[];
}

export interface RevertArguments extends HostApp {
  /** The release to put back; undefined after a first deploy, when there is none: the slot is emptied. */
  readonly to?: string | undefined;
  readonly slot: SlotName;
  readonly registry?: HostRegistry;
}

/** The check before anything is built: what every deploy needs of a host. */
export type PreflightArguments = HostApp;

export type StatusArguments = HostApp;

export interface VerbArguments {
  readonly preflight: PreflightArguments;
  readonly prepare: PrepareArguments;
  readonly swap: SwapArguments;
  readonly verify: VerifyArguments;
  readonly commit: CommitArguments;
  readonly revert: RevertArguments;
  readonly status: StatusArguments;
}

export type Verb = keyof VerbArguments;
