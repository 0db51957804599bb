import type { Clock } from '../clock.js';
import { formatDuration } from '../duration.js';
import type { Log } from '../log.js';

export type PhaseName = 'resolve' | 'plan' | 'build' | 'prepare' | 'waves' | 'commit' | 'revert';

/** When a phase ran, in milliseconds since the epoch, and whether it was left by an error. */
export interface PhaseRecord {
  readonly phase: PhaseName;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly failed: boolean;
}

/** The phases of a run in the order they ran: groups of the job log, and the times in the report. */
export class Timeline {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #phases: PhaseRecord[] = [];
  readonly startedAt: number;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
    this.startedAt = clock.now();
  }

  get phases(): readonly PhaseRecord[] {
    return this.#phases;
  }

  secondsSinceStart(): number {
    return Math.round((this.#clock.now() - this.startedAt) / 1000);
  }

  async phase<T>(phase: PhaseName, title: string, work: () => Promise<T>): Promise<T> {
    const startedAt = this.#clock.now();
    const record = (failed: boolean) => this.#phases.push({ phase, startedAt, endedAt: this.#clock.now(), failed });
    return this.#log.group(title, async () => {
      try {
        const result = await work();
        record(false);
        this.#log.info(`Done in ${formatDuration((this.#clock.now() - startedAt) / 1000)}.`);
        return result;
      } catch (error) {
        record(true);
        throw error;
      }
    });
  }
}
