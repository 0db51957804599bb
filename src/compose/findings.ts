import type { Problem } from '../problem.js';
import { interpolate, TemplateError, type Values } from './template.js';

/** A place in the compose file: keys from the top, and a text that picks the item of a list. */
export interface Place {
  readonly path: readonly string[];
  readonly hint?: string;
}

export type Locate = (path: readonly string[], hint?: string) => string;

/** Collects what is wrong while the model is read, so that all of it is reported at once. */
export class Findings {
  readonly problems: Problem[] = [];
  readonly warnings: string[] = [];
  private readonly locate: Locate;

  constructor(locate: Locate) {
    this.locate = locate;
  }

  refuse(code: string, message: string, { path, hint, fix, cause }: Place & { fix?: string; cause?: string }): void {
    this.problems.push(
      this.problem(code, message, {
        path,
        ...(hint ? { hint } : {}),
        ...(fix ? { fix } : {}),
        ...(cause ? { cause } : {}),
      }),
    );
  }

  problem(code: string, message: string, details: Place & { fix?: string; cause?: string }): Problem {
    const { path, hint, ...rest } = details;
    return { code, message, where: this.locate(path, hint), ...rest };
  }

  warn(message: string, { path, hint }: Place): void {
    this.warnings.push(`${this.locate(path, hint)}: ${message}`);
  }

  /** A text that has to be known before the release leaves, such as the source of a mount; undefined when it is not. */
  settle(text: string, values: Values, place: Place): string | undefined {
    try {
      const { text: settled, unset } = interpolate(text, values);
      if (unset.length === 0) return settled;
      this.refuse(
        'VARIABLE_NOT_SETTLED',
        `${text} has to be known when the release is made, but ${list(unset)} is not.`,
        {
          ...place,
          fix: `Give ${list(unset)} a default (\${${unset[0]}:-…}) or a value in an env-file; in paths write ./ instead of a variable.`,
        },
      );
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      this.refuse('COMPOSE_INVALID', `Not a text that compose can interpolate: ${error.message}`, {
        ...place,
        fix: 'Older versions of compose misread variables in the short syntax of volumes: write source: and target:.',
      });
    }
    return undefined;
  }
}

export function list(names: readonly string[]): string {
  return names.length < 2 ? (names[0] ?? '') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}
