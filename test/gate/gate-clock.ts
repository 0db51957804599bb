import type { LabClock } from '../../lab/model/clock.js';
import type { Clock } from '../../src/clock.js';

/** A clock for both sides, the gate and the load balancer it asks: it jumps to what is due next once all is at rest. */
export class GateClock implements Clock, LabClock {
  #now = 0;
  #due: { readonly at: number; readonly call: () => void }[] = [];

  now = () => this.#now;

  after(milliseconds: number, call: () => void): () => void {
    const entry = { at: this.#now + milliseconds, call };
    this.#due.push(entry);
    return () => {
      this.#due = this.#due.filter((other) => other !== entry);
    };
  }

  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const cancel = this.after(milliseconds, resolve);
      signal?.addEventListener('abort', () => {
        cancel();
        reject(signal.reason);
      });
    });
  }

  /** Runs `work` to its end. */
  async play<T>(work: Promise<T>): Promise<T> {
    let over = false;
    const end = () => {
      over = true;
    };
    work.then(end, end);
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      if (over) return work;
      this.#jump();
    }
  }

  #jump(): void {
    const next = this.#due.reduce((first, entry) => (entry.at < first.at ? entry : first), NEVER);
    if (next === NEVER) throw new Error('Nothing is due, yet the work is not done.');
    this.#due = this.#due.filter((other) => other !== next);
    this.#now = next.at;
    next.call();
  }
}

const NEVER = { at: Number.POSITIVE_INFINITY, call: () => {} };
