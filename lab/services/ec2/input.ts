import { type Input, ServiceError } from '../../wire/service.js';
import { records, text, texts } from '../input.js';

/** What a resource answers to each filter: its values of that name. A resource matches when one of them does. */
export type FilterFields = { readonly [filter: string]: readonly string[] };

/**
 * The resources that an EC2 call asks for by `Filter.N`: filters are ANDed, the values of one ORed, `*` and `?` are
 * wildcards. Throws InvalidParameterValue for a filter that no resource of this kind has.
 */
export function filtered<T>(
  all: readonly T[],
  input: Input,
  { names, fields }: { readonly names: readonly string[]; readonly fields: (resource: T) => FilterFields },
): T[] {
  const filters = records(input, 'Filter').map((filter) => ({
    name: text(filter, 'Name') ?? '',
    patterns: texts(filter, 'Value').map(wildcard),
  }));
  for (const { name } of filters) {
    if (!names.includes(name) && !name.startsWith('tag:')) {
      throw new ServiceError('InvalidParameterValue', `The filter '${name}' is invalid`);
    }
  }
  return all.filter((resource) => {
    const values = fields(resource);
    return filters.every(({ name, patterns }) =>
      (values[name] ?? []).some((value) => patterns.some((pattern) => pattern.test(value))),
    );
  });
}

function wildcard(pattern: string): RegExp {
  const source = pattern
    .replace(/[.\\+^${}()|[\]]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.');
  return new RegExp(`^${source}$`, 's');
}

/** A kind of resource that calls name by id: `subnet-…`, and EC2's words for an id that is wrong or unknown. */
export interface IdKind {
  readonly prefix: string;
  readonly malformed: string;
  readonly notFound: string;
  readonly noun: string;
}

export const INSTANCE: IdKind = {
  prefix: 'i',
  malformed: 'InvalidInstanceID.Malformed',
  notFound: 'InvalidInstanceID.NotFound',
  noun: 'instance ID',
};
export const SECURITY_GROUP: IdKind = {
  prefix: 'sg',
  malformed: 'InvalidGroupId.Malformed',
  notFound: 'InvalidGroup.NotFound',
  noun: 'security group',
};
export const SUBNET: IdKind = {
  prefix: 'subnet',
  malformed: 'InvalidSubnetID.Malformed',
  notFound: 'InvalidSubnetID.NotFound',
  noun: 'subnet ID',
};
export const NETWORK_ACL: IdKind = {
  prefix: 'acl',
  malformed: 'InvalidNetworkAclId.Malformed',
  notFound: 'InvalidNetworkAclID.NotFound',
  noun: 'networkAcl ID',
};

/** The resources that `ids` name, all of them where there are none. Throws the kind's errors. */
export function selected<T extends { readonly id: string }>(
  all: readonly T[],
  ids: readonly string[],
  kind: IdKind,
): T[] {
  const malformed = ids.find((id) => !new RegExp(`^${kind.prefix}-([0-9a-f]{8}|[0-9a-f]{17})$`).test(id));
  if (malformed !== undefined) throw new ServiceError(kind.malformed, `Invalid id: "${malformed}"`);
  const missing = ids.filter((id) => !all.some((resource) => resource.id === id));
  if (missing.length > 0) throw notFound(missing, kind);
  return ids.length === 0 ? [...all] : all.filter(({ id }) => ids.includes(id));
}

function notFound(missing: readonly string[], { notFound: code, noun }: IdKind): ServiceError {
  const names = `'${missing.join(', ')}'`;
  const message = missing.length === 1 ? `The ${noun} ${names} does not exist` : `The ${noun}s ${names} do not exist`;
  return new ServiceError(code, message);
}
