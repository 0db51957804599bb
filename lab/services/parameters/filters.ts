import { type Input, ServiceError } from '../../wire/service.js';
import { requiredText, text, texts } from '../input.js';

/** What a filter can ask of a parameter: its name and the fields of its newest version. */
export interface Filterable {
  readonly name: string;
  readonly type: string;
  readonly tier: string;
  readonly keyId: string | undefined;
  readonly dataType: string;
}

/** Whether a parameter lies below a path. A name without a slash lies below `/`. */
export function isBelow(name: string, path: string, recursive: boolean): boolean {
  const full = name.startsWith('/') ? name : `/${name}`;
  const prefix = path === '/' ? '/' : `${path}/`;
  return full.startsWith(prefix) && (recursive || !full.slice(prefix.length).includes('/'));
}

/** A `Filters` entry of DescribeParameters as a `ParameterFilters` entry. */
export function legacyFilter(filter: Input): Input {
  return { Key: filter.Key, Option: filter.Key === 'Name' ? 'BeginsWith' : 'Equals', Values: filter.Values };
}

export function matchesAll(parameter: Filterable, filters: readonly Input[]): boolean {
  return filters.every((filter) => matches(parameter, filter));
}

function matches(parameter: Filterable, filter: Input): boolean {
  const key = requiredText(filter, 'Key');
  const option = text(filter, 'Option') ?? 'Equals';
  const values = texts(filter, 'Values');
  if (key === 'Path') return values.some((path) => isBelow(parameter.name, path, option === 'Recursive'));
  const fields: { readonly [key: string]: string | undefined } = {
    Name: parameter.name,
    Type: parameter.type,
    Tier: parameter.tier,
    KeyId: parameter.keyId,
    DataType: parameter.dataType,
  };
  if (!(key in fields)) throw new ServiceError('InvalidFilterKey', '', { member: undefined });
  const field = fields[key] ?? '';
  return values.some((value) => {
    if (option === 'BeginsWith') return field.startsWith(value);
    return option === 'Contains' ? field.includes(value) : field === value;
  });
}
