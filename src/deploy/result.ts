import type { TargetProof } from '../gate/watched.js';
import type { Problem } from '../problem.js';
import type { BuiltRelease } from './build.js';
import type { PhaseRecord } from './timeline.js';

export type Outcome = 'succeeded' | 'unchanged' | 'rejected' | 'rolled-back' | 'rollback-failed' | 'cancelled';

/** The job is green for these only. */
export function isGreen(outcome: Outcome): boolean {
  return outcome === 'succeeded' || outcome === 'unchanged';
}

/** How a run ended, with what it leaves behind. */
export interface DeployResult extends ReleaseSummary {
  readonly outcome: Outcome;
  readonly problems: readonly Problem[];
  readonly phases: readonly PhaseRecord[];
  readonly durationSeconds: number;
}

export interface ReleaseSummary {
  readonly release: string | undefined;
  readonly previousRelease: string | undefined;
  /** Of the web service. */
  readonly image:
    | { readonly reference: string; readonly tag: string; readonly digest: string; readonly repository: string }
    | undefined;
  readonly bundle: string | undefined;
  readonly targets: readonly TargetProof[];
  readonly warnings: readonly string[];
}

const NOTHING: ReleaseSummary = {
  release: undefined,
  previousRelease: undefined,
  image: undefined,
  bundle: undefined,
  targets: [],
  warnings: [],
};

/** What is known of a release once it is built; nothing before. */
export function summarise(release?: BuiltRelease, before: ReleaseSummary = NOTHING): ReleaseSummary {
  if (!release) return before;
  const web = release.compiled.web.map(({ service }) => release.images[service]).find((image) => image !== undefined);
  const image = web ?? Object.values(release.images)[0];
  return {
    ...before,
    release: release.id,
    bundle: release.bundle,
    image: image && { reference: image.ref, tag: image.tag, digest: image.digest, repository: release.repository },
  };
}
