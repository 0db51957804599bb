import type { WaveSize } from './waves.js';

/** Which instances a deploy addresses. */
export type FleetChoice =
  | { readonly kind: 'registered' }
  | { readonly kind: 'instances'; readonly ids: readonly string[] }
  | { readonly kind: 'tag'; readonly key: string; readonly value: string };

export type StrategyChoice = 'auto' | Strategy;
export type Strategy = 'rolling' | 'recreate';

/** What is asked for, read and checked once. Times are in seconds. */
export interface DeployOptions {
  readonly app: string;
  readonly environment: string;
  /** Name or ARN; `service` where several services stand behind the load balancer. */
  readonly targetGroups: readonly { readonly service?: string; readonly nameOrArn: string }[];
  readonly repository: string | undefined;
  readonly createRepository: boolean;
  /** Deployed instead of a build. */
  readonly image: string | undefined;
  readonly composeFiles: readonly string[];
  readonly projectDirectory: string;
  readonly services: readonly string[];
  readonly envFiles: readonly string[];
  readonly build: BuildOptions;
  readonly fleet: FleetChoice;
  readonly strategy: StrategyChoice;
  readonly waveSize: WaveSize;
  readonly healthTimeoutSeconds: number | undefined;
  readonly stableForSeconds: number | undefined;
  readonly drainTimeoutSeconds: number | undefined;
  readonly rollbackOnFailure: boolean;
  readonly dryRun: boolean;
  readonly region: string;
  readonly commit: string;
}

export interface BuildOptions {
  readonly args: { readonly [name: string]: string };
  /** By id. */
  readonly secrets: { readonly [id: string]: string };
  readonly target: string | undefined;
  readonly platforms: readonly string[];
  readonly cache: 'auto' | 'gha' | 'registry' | 'none';
}
