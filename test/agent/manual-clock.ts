import type { LabClock } from '../../lab/model/clock.js';

export interface ManualClock extends LabClock {
  /** Lets time pass and calls what falls due, in order. */
  advance(milliseconds: number): void;
}

/** A clock that stands still until told otherwise. */
export function manualClock(start = Date.parse('2026-05-04T09:00:00Z')): ManualClock {
  let now = start;
  let timers: { readonly at: number; readonly callback: () => void }[] = [];
  return {
    now: () => now,
    after: (milliseconds, callback) => {
      const timer = { at: now + milliseconds, callback };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    advance: (milliseconds) => {
      const end = now + milliseconds;
      for (;;) {
        const next = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
        if (!next) break;
        timers = timers.filter((timer) => timer !== next);
        now = Math.max(now, next.at);
        next.callback();
      }
      now = end;
    },
  };
}
