import { COMPARISON_SECONDS, compared, verified } from './containers.js';
import type { Watch } from './judge.js';
import { isStable } from './rules.js';
import type { TargetState } from './target-state.js';

/** While a verdict can change with the next check. DescribeTargetHealth refills 10 calls a second per account. */
const FAST_POLL_MS = 2_000;
/** While nothing can change for the better; below the longest gap that still makes one stretch (10 s at least). */
const SLOW_POLL_MS = 5_000;
/** A failed call doubles the wait up to this, which is still below that gap, so that one answer keeps a stretch. */
const LONGEST_BACKOFF_MS = 8_000;
/** Spreads the calls of gates that began together. */
const JITTER = 0.1;
/** Looks at hosts are commands through SSM: no more often than this while something is not healthy. */
const HOST_LOOK_MS = 10_000;
/** The first of the two looks: every second that it comes later, the verdict comes later. */
const COMPARE_LOOK_MS = 1_000;
/** When a look brought no answer that was needed. */
const HOST_RETRY_MS = 5_000;

/** Milliseconds until the next DescribeTargetHealth. `random` is in [0, 1); `failures` counts the last calls in vain. */
export function nextPollIn(
  watches: readonly Watch[],
  options: { readonly now: number; readonly failures: number; readonly random: () => number },
): number {
  const { now, failures, random } = options;
  const backoff = Math.min(FAST_POLL_MS * 2 ** failures, LONGEST_BACKOFF_MS);
  if (failures > 0) return backoff * (1 - JITTER * random());
  const firstLook = untilFirstLook(watches, now);
  if (firstLook !== undefined) return Math.min(firstLook, SLOW_POLL_MS);
  const changeAt = Math.min(
    ...watches.flatMap((watch) => watch.targets.map((state) => nextChangeAt(state, watch, now))),
  );
  const untilChange = Math.max(changeAt - now, 0);
  if (untilChange <= FAST_POLL_MS) return Math.max(untilChange, FAST_POLL_MS * (1 - JITTER * random()));
  // An observation must come after the change to count, so the wait ends a little behind it.
  return Math.min(untilChange + 1, SLOW_POLL_MS * (1 - JITTER * random()));
}

/**
 * A first answer at the very moment of the change does not count. The next must not be late: only a registration that is
 * seen new is believed without the observation window.
 */
function untilFirstLook(watches: readonly Watch[], now: number): number | undefined {
  const waits = watches.flatMap(({ targets }) =>
    targets
      .filter(({ seenAt, target }) => seenAt === undefined && target.change.at >= now)
      .map(({ target }) => target.change.at + 1 - now),
  );
  return waits.length > 0 ? Math.min(...waits) : undefined;
}

/** The earliest moment at which a look at this target can bring the verdict nearer. */
function nextChangeAt(state: TargetState, watch: Watch, now: number): number {
  const { sighting, trustedFrom, stretch, failingUntil } = state;
  if (!sighting) return now;
  switch (sighting.kind) {
    case 'healthy':
      if (!stretch) return trustedFrom + 1;
      if (!isStable(stretch, watch)) return stretch.from + watch.policy.stableForSeconds * 1000;
      return verified(state) ? now + SLOW_POLL_MS : comparableFrom(state, now);
    case 'failing':
      return failingUntil ?? now;
    case 'leaving':
      return now + SLOW_POLL_MS;
    case 'new':
    case 'missing':
    case 'hopeless':
    case 'unclear':
      return now;
    default:
      return sighting.kind satisfies never;
  }
}

/**
 * Why a look at the hosts is worth a command.
 * - `unhealthy`: something is not healthy; a container that exited or loops would end the wait.
 * - `compare`: all that is needed is healthy; the first of the two looks that must find the same.
 * - `verify`: the load balancer agrees; the second one.
 */
export type LookReason = 'unhealthy' | 'compare' | 'verify';

/** The look that is due now, if any. `lastAskedAt` is when the last one was asked for, or when the gate began. */
export function lookDue(watches: readonly Watch[], now: number, lastAskedAt: number): LookReason | undefined {
  const reason = lookWanted(watches, now);
  if (!reason) return undefined;
  const spacing = { unhealthy: HOST_LOOK_MS, compare: COMPARE_LOOK_MS, verify: HOST_RETRY_MS }[reason];
  return now - lastAskedAt >= spacing ? reason : undefined;
}

function lookWanted(watches: readonly Watch[], now: number): LookReason | undefined {
  const enough = (holds: (state: TargetState, watch: Watch) => boolean) =>
    watches.every((watch) => {
      const needed = watch.policy.minimumHealthy ?? watch.targets.length;
      return watch.targets.filter((state) => holds(state, watch)).length >= needed;
    });
  if (watches.every(({ targets }) => targets.every(({ target }) => !target.containers))) return undefined;
  if (!enough(({ stretch }) => stretch !== undefined)) return 'unhealthy';
  if (!enough((state) => compared(state))) return 'compare';
  if (enough((state) => verified(state))) return undefined;
  return enough((state, watch) => isStable(state.stretch, watch) && canVerify(state, now)) ? 'verify' : undefined;
}

function canVerify(state: TargetState, now: number): boolean {
  return !state.target.containers || (compared(state) && now >= comparableFrom(state, now));
}

function comparableFrom({ hosts }: TargetState, now: number): number {
  return (hosts.comparedFrom ?? now) + COMPARISON_SECONDS * 1000;
}
