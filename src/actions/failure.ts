import { setFailed } from '@actions/core';
import { describeProblem, ProblemsError } from '../problem.js';
import { defuse } from './runner-log.js';

/** The step is red, with every problem on a line of its own. */
export function fail(error: unknown): void {
  if (error instanceof ProblemsError) setFailed(defuse(error.problems.map(describeProblem).join('\n')));
  else setFailed(error instanceof Error ? error : String(error));
}
