import { getInput } from '@actions/core';
import { type Problem, ProblemsError } from '../problem.js';

/** Turns the text of one input into its value, or throws InputError with what is allowed. */
export type Parser<T> = (text: string) => T;

export class InputError extends Error {
  override readonly name = 'InputError';
}

export interface InputSpec {
  readonly [name: string]: Parser<unknown>;
}
export type Inputs<S extends InputSpec> = { readonly [K in keyof S]: ReturnType<S[K]> };

/**
 * Reads every input of an action once, the only place that does. Defaults are action.yml's: the runner fills them in.
 * Throws a ProblemsError with all that is wrong (INPUT_INVALID, INPUT_UNKNOWN).
 */
export function readInputs<S extends InputSpec>(spec: S, environment: NodeJS.ProcessEnv = process.env): Inputs<S> {
  const problems: Problem[] = unknownInputs(Object.keys(spec), environment);
  const values: { [name: string]: unknown } = {};
  for (const [name, parse] of Object.entries(spec)) {
    try {
      values[name] = parse(getInput(name));
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      problems.push({ code: 'INPUT_INVALID', message: `Input '${name}' ${error.message}` });
    }
  }
  if (problems.length > 0) throw new ProblemsError(problems);
  return values as Inputs<S>;
}

/** The runner passes on what a workflow misspells; it only warns. */
function unknownInputs(known: readonly string[], environment: NodeJS.ProcessEnv): Problem[] {
  const names = new Set(known.map((name) => `INPUT_${name.toUpperCase()}`));
  return Object.keys(environment)
    .filter((key) => key.startsWith('INPUT_') && !names.has(key) && environment[key] !== '')
    .map((key) => ({
      code: 'INPUT_UNKNOWN',
      message: `Input '${key.slice('INPUT_'.length).toLowerCase()}' does not exist.`,
      fix: `Use one of: ${known.join(', ')}.`,
    }));
}

export const text: Parser<string> = (value) => value;

export function required<T>(parse: Parser<T>): Parser<T> {
  return (value) => {
    if (value === '') throw new InputError('is required.');
    return parse(value);
  };
}

export function optional<T>(parse: Parser<T>): Parser<T | undefined> {
  return (value) => (value === '' ? undefined : parse(value));
}

export function matching(pattern: RegExp, meaning: string): Parser<string> {
  return (value) => {
    if (!pattern.test(value)) throw new InputError(`is '${shorten(value)}', but must be ${meaning}.`);
    return value;
  };
}

export function oneOf<const T extends string>(...allowed: readonly T[]): Parser<T> {
  return (value) => {
    const found = allowed.find((word) => word === value);
    if (found === undefined) throw new InputError(`is '${shorten(value)}', but must be one of: ${allowed.join(', ')}.`);
    return found;
  };
}

export const flag: Parser<boolean> = (value) => oneOf('true', 'false')(value) === 'true';

/** One value a line; blank lines do not count. */
export const lines: Parser<readonly string[]> = (value) =>
  value
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);

/** `NAME=VALUE`, one a line. */
export const pairs: Parser<{ readonly [name: string]: string }> = (value) =>
  Object.fromEntries(
    lines(value).map((line) => {
      const at = line.indexOf('=');
      if (at < 1) throw new InputError(`has the line '${shorten(line)}', but each line must be NAME=VALUE.`);
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );

function shorten(value: string): string {
  return value.length > 80 ? `${value.slice(0, 77)}…` : value;
}
