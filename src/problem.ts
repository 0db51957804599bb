/**
 * A failure that a user can act on. `code` is stable and has a paragraph in docs/troubleshooting.md; `message` says what
 * happened, `cause` why (where it is known), `fix` the one thing to do. `where` names the host, target, service or line.
 */
export interface Problem {
  readonly code: string;
  readonly message: string;
  readonly cause?: string;
  readonly fix?: string;
  readonly where?: string;
}

/** Everything that is wrong, at once: bad input is reported whole, never one finding per run. */
export class ProblemsError extends Error {
  override readonly name = 'ProblemsError';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[], options?: ErrorOptions) {
    super(problems.map(describeProblem).join('\n'), options);
    this.problems = problems;
  }
}

/** One problem as an error, for the places where nothing can be collected further. */
export function problem(
  code: string,
  message: string,
  details: Omit<Problem, 'code' | 'message'> = {},
  options?: ErrorOptions,
): ProblemsError {
  return new ProblemsError([{ code, message, ...details }], options);
}

export function describeProblem({ code, message, cause, fix, where }: Problem): string {
  const place = where ? `${where}: ` : '';
  const why = cause ? ` ${cause}` : '';
  const remedy = fix ? ` Fix: ${fix}` : '';
  return `${code}: ${place}${message}${why}${remedy}`;
}

/** Awaits all of them, so that the problems of independent checks arrive together; other errors win at once. */
export async function collectProblems<T extends readonly unknown[]>(
  checks: readonly [...{ [K in keyof T]: Promise<T[K]> }],
): Promise<T> {
  const settled = await Promise.allSettled(checks);
  const reasons = settled.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
  const unexpected = reasons.find((reason) => !(reason instanceof ProblemsError));
  if (unexpected !== undefined) throw unexpected;
  const problems = reasons.flatMap((reason) => (reason instanceof ProblemsError ? reason.problems : []));
  if (problems.length > 0) throw new ProblemsError(problems);
  return settled.map((result) => (result as PromiseFulfilledResult<unknown>).value) as unknown as T;
}
