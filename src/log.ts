/** What a run says while it works. The runner's implementation is in actions/; tests keep the lines. */
export interface Log {
  info(line: string): void;
  warning(line: string): void;
  debug(line: string): void;
  /** Folds the lines of one phase together in the job log. */
  group<T>(title: string, work: () => Promise<T>): Promise<T>;
}
