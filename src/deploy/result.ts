import type { TargetProof } from '../gate/proof.js';
import type { Problem } from '../problem.js';
import type { PhaseRecord } from './timeline.js';

export type Outcome = 'succeeded' | 'unchanged' | 'rejected' | 'rolled-back' | 'rollback-failed' | 'cancelled';

/** The job is green for these only. */
export function isGreen(outcome: Outcome): boolean {
  return outcome === 'succeeded' || outcome === 'unchanged';
}

/** How a run ended, with what it leaves behind. */
export interface DeployResult {
  readonly outcome: Outcome;
  readonly release: string | undefined;
  readonly previousRelease: string | undefined;
  /** Of the web service. */
  readonly image:
    | { readonly reference: string; readonly tag: string; readonly digest: string; readonly repository: string }
    | undefined;
  readonly targets: readonly TargetProof[];
  readonly problems: readonly Problem[];
  readonly warnings: readonly string[];
  readonly phases: readonly PhaseRecord[];
  readonly durationSeconds: number;
}
