import type { Json } from './model.js';

export type JsonMap = { readonly [key: string]: Json };

export function isMap(value: Json | undefined): value is JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function mapOf(value: Json | undefined): JsonMap {
  return isMap(value) ? value : {};
}

export function listOf(value: Json | undefined): readonly Json[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? (value as readonly Json[]) : [value];
}

/** Compose writes environment, labels, args, … either as a map or as a list of `KEY=value`; a bare `KEY` is null. */
export function pairsOf(value: Json | undefined, separator = '='): JsonMap {
  if (isMap(value)) return value;
  return Object.fromEntries(
    listOf(value).map((entry) => {
      const text = String(entry);
      const at = text.indexOf(separator);
      return at < 0 ? [text, null] : [text.slice(0, at), text.slice(at + separator.length)];
    }),
  );
}

export function omit(map: JsonMap, ...keys: readonly string[]): JsonMap {
  return Object.fromEntries(Object.entries(map).filter(([key]) => !keys.includes(key)));
}

export function withoutUndefined(map: { readonly [key: string]: Json | undefined }): JsonMap {
  return Object.fromEntries(Object.entries(map).filter((entry): entry is [string, Json] => entry[1] !== undefined));
}

/** Every text of a value, keys left alone. */
export function mapTexts(value: Json, change: (text: string) => string): Json {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return (value as readonly Json[]).map((item) => mapTexts(item, change));
  if (!isMap(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapTexts(item, change)]));
}

/** Visits every text with the path of keys that leads to it; list positions are left out of the path. */
export function eachText(
  value: Json,
  visit: (text: string, path: readonly string[]) => void,
  path: string[] = [],
): void {
  if (typeof value === 'string') visit(value, path);
  else if (Array.isArray(value)) for (const item of value as readonly Json[]) eachText(item, visit, path);
  else if (isMap(value)) for (const [key, item] of Object.entries(value)) eachText(item, visit, [...path, key]);
}

/** JSON with sorted keys and two spaces, so that equal values are equal bytes. Ends with a newline. */
export function stableJson(value: unknown): string {
  return `${JSON.stringify(canonical(value), null, 2)}\n`;
}

/** The same value with its keys in order, at every depth. */
export function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => byText(a, b)).map(([key, item]) => [key, canonical(item)]));
}

/** Code-unit order: the same on every machine, whatever its locale. */
export function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
