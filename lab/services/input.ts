import { type Input, ServiceError } from '../wire/service.js';

/** Readers of an operation's input. A value of the wrong kind is the service's own validation error. */
export function text(input: Input, key: string): string | undefined {
  const value = input[key];
  if (value === undefined || value === null || typeof value === 'string') return value ?? undefined;
  throw new ServiceError('SerializationException', `${key} is not a string.`);
}

export function requiredText(input: Input, key: string): string {
  const value = text(input, key);
  if (value === undefined) throw constraint('null', key, 'Member must not be null');
  return value;
}

export function texts(input: Input, key: string): string[] {
  return list(input, key).map(String);
}

export function records(input: Input, key: string): Input[] {
  return list(input, key).filter((item): item is Input => typeof item === 'object' && item !== null);
}

/** A number as JSON sends it or as text, within its bounds; `fallback` where it is absent. */
export function numberWithin(
  input: Input,
  key: string,
  { least, most, fallback }: { readonly least: number; readonly most: number; readonly fallback: number },
): number {
  const value = input[key] === undefined || input[key] === null ? fallback : Number(input[key]);
  if (!(value >= least)) throw constraint(value, key, `Member must have value greater than or equal to ${least}`);
  if (value > most) throw constraint(value, key, `Member must have value less than or equal to ${most}`);
  return value;
}

/** AWS's text for a member that breaks its model's constraint. */
export function constraint(value: string | number, key: string, rule: string): ServiceError {
  const member = key.charAt(0).toLowerCase() + key.slice(1);
  const shown = value === 'null' ? 'null' : `'${value}'`;
  return new ServiceError(
    'ValidationException',
    `1 validation error detected: Value ${shown} at '${member}' failed to satisfy constraint: ${rule}`,
  );
}

function list(input: Input, key: string): unknown[] {
  const value = input[key];
  // An empty list of the query protocol arrives as an empty text.
  if (value === undefined || value === null || value === '') return [];
  if (!Array.isArray(value)) throw new ServiceError('SerializationException', `${key} is not a list.`);
  return value;
}

export interface Page<T> {
  readonly items: T[];
  /** Opaque; undefined on the last page. */
  readonly nextToken: string | undefined;
}

/**
 * One page of a list that `key` sorts. The token names the last key given out, so that a list that changes between two
 * pages neither repeats nor skips what stayed. Throws `invalidToken` for a token of other making.
 */
export function page<T>(
  all: readonly T[],
  options: {
    readonly key: (item: T) => string;
    readonly limit: number;
    readonly token: string | undefined;
    readonly invalidToken: () => ServiceError;
  },
): Page<T> {
  const { key, limit, token, invalidToken } = options;
  const sorted = [...all].sort((a, b) => compare(key(a), key(b)));
  const after = token === undefined ? undefined : readToken(token, invalidToken);
  const rest = after === undefined ? sorted : sorted.filter((item) => compare(key(item), after) > 0);
  const items = rest.slice(0, limit);
  const last = items.at(-1);
  return { items, nextToken: rest.length > limit && last !== undefined ? writeToken(key(last)) : undefined };
}

const TOKEN_MARK = 'page:';

function writeToken(key: string): string {
  return Buffer.from(TOKEN_MARK + key).toString('base64');
}

function readToken(token: string, invalidToken: () => ServiceError): string {
  const content = Buffer.from(token, 'base64').toString();
  if (!content.startsWith(TOKEN_MARK)) throw invalidToken();
  return content.slice(TOKEN_MARK.length);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
