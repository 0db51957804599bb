import { ServiceError } from '../../wire/service.js';
import { constraint } from '../input.js';

export type ParameterType = 'String' | 'StringList' | 'SecureString';
export type ParameterTier = 'Standard' | 'Advanced';

const STANDARD_LIMIT_BYTES = 4096;
const ADVANCED_LIMIT_BYTES = 8192;
const MOST_LEVELS = 15;
const NAME_LIMIT_CHARACTERS = 1011;
const TYPES: readonly string[] = ['String', 'StringList', 'SecureString'] satisfies ParameterType[];

/** Throws what Parameter Store says to a name that it does not take. `arn` is the name as an ARN, for its length. */
export function checkName(name: string, arn: string): void {
  if (arn.length > NAME_LIMIT_CHARACTERS) {
    throw constraint(name, 'name', `Member must have length less than or equal to ${NAME_LIMIT_CHARACTERS}`);
  }
  const isPath = name.includes('/');
  if (/^\/?aws\//i.test(name) && isPath) {
    throw new ServiceError('AccessDeniedException', `No access to reserved parameter name: ${name}.`);
  }
  if (/^\/?(aws|ssm)/i.test(name) || !/^\/?[\w.-]+(\/[\w.-]+)*$/.test(name)) {
    throw new ServiceError(
      'ValidationException',
      'Parameter name: can\'t be prefixed with "ssm" (case-insensitive). If formed as a path, it can consist of ' +
        'sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following ' +
        '3 symbols .-_',
    );
  }
  if (isPath && !name.startsWith('/')) {
    throw new ServiceError('ValidationException', 'Parameter name must be a fully qualified name.');
  }
  if (name.split('/').length - 1 > MOST_LEVELS) {
    throw new ServiceError(
      'HierarchyLevelLimitExceededException',
      `A hierarchy can have a maximum of ${MOST_LEVELS} levels.`,
    );
  }
}

export function checkType(type: string | undefined, existing: ParameterType | undefined): ParameterType {
  if (type === undefined) {
    if (existing) return existing;
    throw new ServiceError('ValidationException', 'A parameter type is required when you create a parameter.');
  }
  if (!TYPES.includes(type)) {
    throw constraint(type, 'type', 'Member must satisfy enum value set: [SecureString, StringList, String]');
  }
  return type as ParameterType;
}

export function checkValue(value: string, pattern: string | undefined): void {
  if (value === '') throw constraint('', 'value', 'Member must have length greater than or equal to 1');
  if (/\{\{.*?\}\}/s.test(value)) {
    throw new ServiceError(
      'ValidationException',
      'Parameter value can\'t nest another parameter. Do not use "{{}}" in the value.',
    );
  }
  if (pattern !== undefined && !new RegExp(pattern).test(value)) {
    throw new ServiceError(
      'ParameterPatternMismatchException',
      `Parameter value, cannot be validated against allowedPattern: ${pattern}`,
    );
  }
}

/** The tier that a value ends up in; Standard unless asked otherwise or advanced already. Throws what is too long. */
export function tierOf(value: string, asked: string | undefined, existing: ParameterTier | undefined): ParameterTier {
  const bytes = Buffer.byteLength(value);
  if (asked === 'Standard' && existing === 'Advanced') {
    throw new ServiceError(
      'ValidationException',
      "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter " +
        'tier to the standard-parameter tier. If necessary, you can delete the advanced parameter and recreate it as a ' +
        'standard parameter.',
    );
  }
  const tier = chosenTier(bytes, asked, existing);
  const limit = tier === 'Advanced' ? ADVANCED_LIMIT_BYTES : STANDARD_LIMIT_BYTES;
  if (bytes > limit) throw tooLong(tier, limit);
  return tier;
}

function chosenTier(bytes: number, asked: string | undefined, existing: ParameterTier | undefined): ParameterTier {
  if (existing === 'Advanced' || asked === 'Advanced') return 'Advanced';
  return asked === 'Intelligent-Tiering' && bytes > STANDARD_LIMIT_BYTES ? 'Advanced' : 'Standard';
}

function tooLong(tier: ParameterTier, limit: number): ServiceError {
  const remedy =
    tier === 'Standard'
      ? ' To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier. For more ' +
        'information, see https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html'
      : '';
  return new ServiceError(
    'ValidationException',
    `${tier} tier parameters support a maximum parameter value of ${limit} characters.${remedy}`,
  );
}
