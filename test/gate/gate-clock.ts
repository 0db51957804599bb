import type { Clock } from '../../src/clock.js';

/** A clock that jumps to the next sleeper whenever everything else has come to rest. */
export class GateClock implements Clock {
  #now: number;
  #sleepers: { readonly at: number; readonly wake: () => void }[] = [];

  constructor(now = 0) {
    this.#now = now;
  }

  now = () => this.#now;

  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const sleeper = { at: this.#now + milliseconds, wake: resolve };
      this.#sleepers.push(sleeper);
      signal?.addEventListener('abort', () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        reject(signal.reason);
      });
    });
  }

  /** Runs `work` to its end, jumping from sleeper to sleeper. */
  async play<T>(work: Promise<T>): Promise<T> {
    let over = false;
    const end = () => {
      over = true;
    };
    work.then(end, end);
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      if (over) return work;
      const next = this.#sleepers.sort((one, other) => one.at - other.at).shift();
      if (!next) throw new Error('Nothing sleeps, yet the work is not done.');
      this.#now = Math.max(this.#now, next.at);
      next.wake();
    }
  }
}
