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

/**
 * Gathers the problems of independent checks, so that they are told together, in the order in which the checks began and
 * not in which they ended. Other errors pass through at once.
 */
export class ProblemCollector {
  readonly #findings: (readonly Problem[])[] = [];

  get problems(): readonly Problem[] {
    return this.#findings.flat();
  }

  add(...problems: readonly Problem[]): void {
    this.#findings.push(problems);
  }

  /** The value of a check, or undefined where it found problems. */
  async attempt<T>(check: () => T | Promise<T>): Promise<T | undefined> {
    const place = this.#findings.push([]) - 1;
    try {
      return await check();
    } catch (error) {
      if (!(error instanceof ProblemsError)) throw error;
      this.#findings[place] = error.problems;
      return undefined;
    }
  }

  throwIfAny(): void {
    if (this.problems.length > 0) throw new ProblemsError(this.problems);
  }
}
