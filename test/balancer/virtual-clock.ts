import type { LabClock } from '../../lab/model/clock.js';

/** A clock that stands still until it is told to go on; what falls due on the way is called at its own time. */
export class VirtualClock implements LabClock {
  #now = 0;
  #due: { at: number; callback: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(milliseconds: number, callback: () => void): () => void {
    const entry = { at: this.#now + milliseconds, callback };
    this.#due.push(entry);
    return () => {
      this.#due = this.#due.filter((other) => other !== entry);
    };
  }

  async seconds(seconds: number): Promise<void> {
    const end = this.#now + seconds * 1000;
    await settle();
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#due = this.#due.filter((other) => other !== next);
      this.#now = next.at;
      next.callback();
      await settle();
    }
    this.#now = end;
  }

  #next(end: number) {
    return this.#due.filter(({ at }) => at <= end).sort((one, other) => one.at - other.at)[0];
  }
}

/** Lets what was promised at this moment happen. */
const settle = () => new Promise((resolve) => setImmediate(resolve));
