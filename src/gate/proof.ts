import type { Law } from './rules.js';
import type { Standing } from './standing.js';
import type { TargetState } from './target-state.js';
import type { TargetProof } from './watched.js';

/** What is known of a target, in the words of the report and the ledger. */
export function toProof(state: TargetState, standing: Standing, { policy }: Law): TargetProof {
  const { target, trustedFrom, sighting, stretch, firstHealthyAt, hosts } = state;
  const covered = stretch ? Math.floor((stretch.to - stretch.from) / (policy.intervalSeconds * 1000)) : 0;
  return {
    instance: target.instance,
    port: target.port,
    outcome: standing.kind,
    change: target.change,
    trustedFrom,
    ...given({ firstHealthyAt, healthySince: stretch?.from, healthyUntil: stretch?.to }),
    observations: stretch?.observations ?? 0,
    checksCovered: covered,
    albState: sighting?.state ?? 'unobserved',
    ...given({ albReason: sighting?.reason, albDescription: sighting?.description }),
    ...containerFacts(state),
    ...given({ verifiedAt: hosts.verifiedAt }),
    ...(standing.kind === 'failed' ? { reason: standing.problem } : {}),
  };
}

function containerFacts({ target, hosts }: TargetState): Pick<TargetProof, 'containerId' | 'digest' | 'restarts'> {
  const service = target.containers?.[0]?.service;
  const found = hosts.containers.find((container) => container.service === service);
  return found ? { containerId: found.id, digest: found.digest, restarts: found.restarts } : {};
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Leaves out what is not known, so that a report has no empty fields. */
function given<T extends object>(fields: T): Given<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Given<T>;
}
