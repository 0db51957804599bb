/** GitHub sends SIGINT to the entry process alone, and SIGTERM 7.5 s later (actions/runner, ProcessInvoker). */
export function cancellation(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => controller.abort(new CancelledError(signal)));
  }
  return controller.signal;
}

export class CancelledError extends Error {
  override readonly name = 'AbortError';

  constructor(signal: string) {
    super(`The run was cancelled (${signal}).`);
  }
}
