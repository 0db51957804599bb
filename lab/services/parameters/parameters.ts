import { createHash } from 'node:crypto';
import type { LabClock } from '../../model/clock.js';
import type { CallContext, Input, Operation, ServiceError } from '../../wire/service.js';
import { constraint, numberWithin, page, records, requiredText, text, texts } from '../input.js';
import {
  alreadyExists,
  invalidToken,
  notAPath,
  notFound,
  tagsWithOverwrite,
  tooManyUpdates,
  versionNotFound,
} from './errors.js';
import { isBelow, legacyFilter, matchesAll } from './filters.js';
import { checkName, checkType, checkValue, type ParameterTier, type ParameterType, tierOf } from './rules.js';

export interface ParameterStoreOptions {
  readonly clock: LabClock;
  /** Answers a PutParameter of this name with TooManyUpdates, which no SDK retries. */
  readonly tooManyUpdates?: (name: string) => boolean;
  /**
   * AWS asks to wait 30 s before a deleted name is created again, without saying what happens otherwise. Above 0, a
   * PutParameter within that time fails with TooManyUpdates.
   */
  readonly recreateDelaySeconds?: number;
}

interface Version {
  readonly version: number;
  readonly value: string;
  readonly type: ParameterType;
  readonly tier: ParameterTier;
  readonly dataType: string;
  readonly description: string | undefined;
  readonly keyId: string | undefined;
  readonly allowedPattern: string | undefined;
  readonly modifiedAt: number;
  readonly modifiedBy: string;
}

interface Parameter {
  readonly name: string;
  /** The oldest first; never empty. */
  readonly versions: readonly [Version, ...Version[]];
}

const HISTORY_LIMIT = 100;
const MOST_NAMES = 10;
const DEFAULT_KEY = 'alias/aws/ssm';

/** Parameter Store's operations, part of the service `ssm`. */
export function createParameterStore(options: ParameterStoreOptions): Record<string, Operation> {
  const parameters = new Map<string, Parameter>();
  const deletedAt = new Map<string, number>();
  const { clock } = options;

  const put: Operation = (input, context) => {
    const name = nameFrom(requiredText(input, 'Name'));
    const value = requiredText(input, 'Value');
    checkName(name, arnOf(name, context));
    checkValue(value, text(input, 'AllowedPattern'));
    const existing = parameters.get(name);
    if (existing && input.Overwrite !== true) throw alreadyExists();
    if (existing && records(input, 'Tags').length > 0) throw tagsWithOverwrite();
    const version = nextVersion(input, { name, value, existing, now: clock.now(), context });
    checkConcurrency(name);
    const versions = [...(existing?.versions ?? []), version].slice(-HISTORY_LIMIT);
    parameters.set(name, { name, versions: versions as [Version, ...Version[]] });
    return { Version: version.version, Tier: version.tier };
  };

  function checkConcurrency(name: string): void {
    const deleted = deletedAt.get(name);
    const quarantine = (options.recreateDelaySeconds ?? 0) * 1000;
    const tooSoon = deleted !== undefined && clock.now() - deleted < quarantine;
    if (tooSoon || options.tooManyUpdates?.(name)) throw tooManyUpdates();
    deletedAt.delete(name);
  }

  const get: Operation = (input, context) => {
    const found = lookUp(requiredText(input, 'Name'));
    if ('error' in found) throw found.error;
    return { Parameter: shown(found, input, context) };
  };

  const getMany: Operation = (input, context) => {
    const names = someNames(input);
    const looked = names.map((name) => ({ name, found: lookUp(name) }));
    return {
      Parameters: looked.flatMap(({ found }) => ('error' in found ? [] : [shown(found, input, context)])),
      InvalidParameters: looked.flatMap(({ name, found }) => ('error' in found ? [name] : [])),
    };
  };

  /** A name, or `name:version`, or either as an ARN. */
  function lookUp(asked: string): Found | { readonly error: ServiceError } {
    const [, name = '', selector] = /^([^:]*)(?::(.+))?$/.exec(nameFrom(asked)) ?? [];
    const parameter = parameters.get(name);
    if (!parameter) return { error: notFound() };
    if (selector === undefined) return { parameter, version: latest(parameter) };
    const version = parameter.versions.find((candidate) => String(candidate.version) === selector);
    return version ? { parameter, version, selector: `:${selector}` } : { error: versionNotFound(name, selector) };
  }

  const getByPath: Operation = (input, context) => {
    const path = requiredText(input, 'Path').replace(/(.)\/$/, '$1');
    if (!path.startsWith('/')) throw notAPath();
    const filters = records(input, 'ParameterFilters');
    const { items, nextToken } = page(
      [...parameters.values()].filter(
        (one) =>
          isBelow(one.name, path, input.Recursive === true) && matchesAll({ name: one.name, ...latest(one) }, filters),
      ),
      paging(input, { most: 10, fallback: 10, key: (one: Parameter) => one.name }),
    );
    return {
      Parameters: items.map((parameter) => shown({ parameter, version: latest(parameter) }, input, context)),
      NextToken: nextToken,
    };
  };

  const history: Operation = (input) => {
    const parameter = parameters.get(nameFrom(requiredText(input, 'Name')));
    if (!parameter) throw notFound();
    const key = ({ version }: Version) => String(version).padStart(12, '0');
    const { items, nextToken } = page(parameter.versions, paging(input, { most: 50, fallback: 50, key }));
    const decrypt = input.WithDecryption === true;
    return {
      Parameters: items.map((version) => ({
        ...metadata(parameter.name, version),
        Value: visibleValue(parameter.name, version, decrypt),
        Labels: [],
      })),
      NextToken: nextToken,
    };
  };

  const describe: Operation = (input, context) => {
    const filters = [...records(input, 'ParameterFilters'), ...records(input, 'Filters').map(legacyFilter)];
    const { items, nextToken } = page(
      [...parameters.values()].filter((one) => matchesAll({ name: one.name, ...latest(one) }, filters)),
      paging(input, { most: 50, fallback: 10, key: (one: Parameter) => one.name }),
    );
    return {
      Parameters: items.map((one) => ({ ...metadata(one.name, latest(one)), ARN: arnOf(one.name, context) })),
      NextToken: nextToken,
    };
  };

  function remove(name: string): boolean {
    const existed = parameters.delete(name);
    if (existed) deletedAt.set(name, clock.now());
    return existed;
  }

  const removeOne: Operation = (input) => {
    if (!remove(nameFrom(requiredText(input, 'Name')))) throw notFound();
    return {};
  };

  const removeMany: Operation = (input) => {
    const results = someNames(input).map((name) => ({ name, removed: remove(nameFrom(name)) }));
    return {
      DeletedParameters: results.flatMap(({ name, removed }) => (removed ? [name] : [])),
      InvalidParameters: results.flatMap(({ name, removed }) => (removed ? [] : [name])),
    };
  };

  return {
    PutParameter: put,
    GetParameter: get,
    GetParameters: getMany,
    GetParametersByPath: getByPath,
    GetParameterHistory: history,
    DeleteParameter: removeOne,
    DeleteParameters: removeMany,
    DescribeParameters: describe,
  };
}

interface Found {
  readonly parameter: Parameter;
  readonly version: Version;
  readonly selector?: string;
}

function nextVersion(
  input: Input,
  given: {
    readonly name: string;
    readonly value: string;
    readonly existing: Parameter | undefined;
    readonly now: number;
    readonly context: CallContext;
  },
): Version {
  const before = given.existing && latest(given.existing);
  const type = checkType(text(input, 'Type'), before?.type);
  return {
    version: (before?.version ?? 0) + 1,
    value: given.value,
    type,
    tier: tierOf(given.value, text(input, 'Tier'), before?.tier),
    dataType: text(input, 'DataType') ?? before?.dataType ?? 'text',
    description: text(input, 'Description') ?? before?.description,
    keyId: type === 'SecureString' ? (text(input, 'KeyId') ?? before?.keyId ?? DEFAULT_KEY) : undefined,
    allowedPattern: text(input, 'AllowedPattern'),
    modifiedAt: given.now,
    modifiedBy: given.context.principal.arn,
  };
}

function latest({ versions }: Parameter): Version {
  return versions.at(-1) ?? versions[0];
}

function shown({ parameter, version, selector }: Found, input: Input, context: CallContext) {
  return {
    Name: parameter.name,
    Type: version.type,
    Value: visibleValue(parameter.name, version, input.WithDecryption === true),
    Version: version.version,
    Selector: selector,
    LastModifiedDate: new Date(version.modifiedAt),
    ARN: arnOf(parameter.name, context),
    DataType: version.dataType,
  };
}

function metadata(name: string, version: Version) {
  return {
    Name: name,
    Type: version.type,
    KeyId: version.keyId,
    LastModifiedDate: new Date(version.modifiedAt),
    LastModifiedUser: version.modifiedBy,
    Description: version.description,
    AllowedPattern: version.allowedPattern,
    Version: version.version,
    Tier: version.tier,
    Policies: [],
    DataType: version.dataType,
  };
}

/** A SecureString that is not decrypted shows as ciphertext: here a digest, which nobody can turn back either. */
function visibleValue(name: string, { type, value, version }: Version, decrypt: boolean): string {
  if (type !== 'SecureString' || decrypt) return value;
  const digest = createHash('sha512').update(`${name}\n${version}\n${value}`).digest('base64');
  return `AQICAHi${digest}`;
}

function nameFrom(nameOrArn: string): string {
  const [, name] = /^arn:[^:]+:ssm:[^:]*:[^:]*:parameter\/(.+)$/.exec(nameOrArn) ?? [];
  if (name === undefined) return nameOrArn;
  return name.includes('/') ? `/${name}` : name;
}

function arnOf(name: string, { region, account }: CallContext): string {
  return `arn:aws:ssm:${region}:${account}:parameter${name.startsWith('/') ? '' : '/'}${name}`;
}

function someNames(input: Input): string[] {
  const names = texts(input, 'Names');
  if (names.length === 0) throw constraint('[]', 'names', 'Member must have length greater than or equal to 1');
  if (names.length <= MOST_NAMES) return names;
  throw constraint(`[${names.join(', ')}]`, 'names', `Member must have length less than or equal to ${MOST_NAMES}`);
}

function paging<T>(input: Input, { most, fallback, key }: { most: number; fallback: number; key: (one: T) => string }) {
  return {
    key,
    limit: numberWithin(input, 'MaxResults', { least: 1, most, fallback }),
    token: text(input, 'NextToken'),
    invalidToken,
  };
}
