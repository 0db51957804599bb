/** The lab's time. Every service takes it as an argument, so that the same model runs under real and virtual clocks. */
export interface LabClock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls back once, `milliseconds` of this clock's time from now. Returns what cancels it. */
  after(milliseconds: number, callback: () => void): () => void;
}

/** Real time, or real time times `speed`: what a clock at speed 5 calls five seconds passes in one. */
export function realClock(speed = 1): LabClock {
  const start = Date.now();
  return {
    now: () => start + (Date.now() - start) * speed,
    after: (milliseconds, callback) => {
      const timer = setTimeout(callback, milliseconds / speed);
      return () => clearTimeout(timer);
    },
  };
}
