import type { Input } from '../../wire/service.js';
import { ServiceError } from '../../wire/service.js';

/** Readers of the query protocol's values, which arrive as text, with AWS's own errors for what does not fit. */
export function text(input: Input, name: string): string | undefined {
  const value = input[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export function requiredText(input: Input, name: string): string {
  const value = text(input, name);
  if (value === undefined) throw validation(nullMember(name));
  return value;
}

export function number(input: Input, name: string, limits: { min: number; max: number }): number | undefined {
  const value = text(input, name) ?? numberAsText(input[name]);
  if (value === undefined) return undefined;
  const parsed = Number(value);
  if (!Number.isInteger(parsed)) throw new ServiceError('MalformedInput', `'${value}' is not a number`);
  if (parsed < limits.min) throw validation(outOfRange(name, value, `greater than or equal to ${limits.min}`));
  if (parsed > limits.max) throw validation(outOfRange(name, value, `less than or equal to ${limits.max}`));
  return parsed;
}

export function oneOf<T extends string>(input: Input, name: string, allowed: readonly T[]): T | undefined {
  const value = text(input, name);
  if (value === undefined) return undefined;
  const found = allowed.find((one) => one === value);
  if (!found) throw validation(constraint(name, value, `Member must satisfy enum value set: [${allowed.join(', ')}]`));
  return found;
}

export function texts(input: Input, name: string): string[] | undefined {
  const value = input[name];
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : undefined;
}

export function objects(input: Input, name: string): Input[] | undefined {
  const value = input[name];
  return Array.isArray(value) ? value.filter(isInput) : undefined;
}

export function requiredObjects(input: Input, name: string): Input[] {
  const value = objects(input, name);
  if (!value) throw validation(nullMember(name));
  return value;
}

export function object(input: Input, name: string): Input | undefined {
  const value = input[name];
  return isInput(value) ? value : undefined;
}

export function validation(message: string): ServiceError {
  return new ServiceError('ValidationError', message);
}

/** One page of a list: Marker is the position at which the next page starts. */
export function page<T>(items: readonly T[], input: Input): { items: T[]; next: { NextMarker?: string } } {
  const size = number(input, 'PageSize', { min: 1, max: 400 }) ?? 400;
  const start = Number(text(input, 'Marker') ?? '0');
  if (!Number.isInteger(start) || start < 0) throw validation(`Marker '${text(input, 'Marker')}' is invalid`);
  const end = start + size;
  return { items: items.slice(start, end), next: end < items.length ? { NextMarker: String(end) } : {} };
}

function isInput(value: unknown): value is Input {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function numberAsText(value: unknown): string | undefined {
  return typeof value === 'number' ? String(value) : undefined;
}

function nullMember(name: string): string {
  return `1 validation error detected: Value null at '${lowerFirst(name)}' failed to satisfy constraint: Member must not be null`;
}

function outOfRange(name: string, value: string, range: string): string {
  return constraint(name, value, `Member must have value ${range}`);
}

function constraint(name: string, value: string, rule: string): string {
  return `1 validation error detected: Value '${value}' at '${lowerFirst(name)}' failed to satisfy constraint: ${rule}`;
}

function lowerFirst(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1);
}
