import { type Input, ServiceError } from '../../wire/service.js';
import { constraint, numberWithin, records, requiredText, text, texts } from '../input.js';
import {
  duplicateInstanceId,
  invalidDocument,
  invalidDocumentVersion,
  invalidParameters,
  validation,
} from './errors.js';
import type { Command, Target } from './model.js';

export const DOCUMENT = 'AWS-RunShellScript';
export const PLUGIN = 'aws:runShellScript';
export const MOST_INSTANCES = 50;

/** The versions that AWS-RunShellScript answers to. */
const DOCUMENT_VERSIONS = ['$DEFAULT', '$LATEST', '1'];
const DEFAULT_TIMEOUT_SECONDS = 3600;
const LEAST_TIMEOUT_SECONDS = 30;
const MOST_TIMEOUT_SECONDS = 2_592_000;
const COMMENT_LIMIT_CHARACTERS = 100;
const MOST_TARGETS = 5;
const WORKING_DIRECTORY_LIMIT_CHARACTERS = 4096;
/** The agent takes what is outside these bounds as the default. */
const LEAST_EXECUTION_SECONDS = 5;
const DEFAULT_EXECUTION_SECONDS = 3600;

const DOCUMENT_NAME = '^[a-zA-Z0-9_\\-.:/]{3,128}$';
const INSTANCE_ID = '(^i-(\\w{8}|\\w{17})$)|(^mi-\\w{17}$)';
const MAX_CONCURRENCY = '^([1-9][0-9]*|[1-9][0-9]%|[1-9]%|100%)$';
const MAX_ERRORS = '^([1-9][0-9]*|[0]|[1-9][0-9]%|[0-9]%|100%)$';
const EXECUTION_TIMEOUT = '([1-9][0-9]{0,4})|(1[0-6][0-9]{4})|(17[0-1][0-9]{3})|(172[0-7][0-9]{2})|(172800)';

/** A SendCommand that AWS would accept, but for whether its instances exist. */
export type Request = Omit<Command, 'id' | 'requestedAt' | 'visibleAt' | 'invocations' | 'cancelRequested'>;

/** Checks a SendCommand in the order of AWS: shapes, duplicates, document, parameters. */
export function readRequest(input: Input): Request {
  const instanceIds = readInstanceIds(input);
  const targets = readTargets(input);
  const limits = {
    maxConcurrency: matching(input, 'MaxConcurrency', MAX_CONCURRENCY, '50'),
    maxErrors: matching(input, 'MaxErrors', MAX_ERRORS, '0'),
    timeoutSeconds: numberWithin(input, 'TimeoutSeconds', {
      least: LEAST_TIMEOUT_SECONDS,
      most: MOST_TIMEOUT_SECONDS,
      fallback: DEFAULT_TIMEOUT_SECONDS,
    }),
  };
  const comment = readComment(input);
  if (instanceIds.length === 0 && targets.length === 0) throw validation('InstanceIds or Targets must be given.');
  if (new Set(instanceIds).size < instanceIds.length) throw duplicateInstanceId();
  const document = readDocument(input);
  const parameters = readParameters(input.Parameters);
  return {
    ...document,
    ...limits,
    instanceIds,
    targets,
    comment,
    parameters,
    executionTimeoutSeconds: executionSeconds(parameters.executionTimeout?.[0]),
    outputS3BucketName: text(input, 'OutputS3BucketName') ?? '',
    outputS3KeyPrefix: text(input, 'OutputS3KeyPrefix') ?? '',
    serviceRole: text(input, 'ServiceRoleArn') ?? '',
  };
}

export function readInstanceIds(input: Input): string[] {
  const ids = texts(input, 'InstanceIds');
  const shown = `[${ids.join(', ')}]`;
  if (ids.length > MOST_INSTANCES) {
    throw constraint(shown, 'InstanceIds', `Member must have length less than or equal to ${MOST_INSTANCES}`);
  }
  if (!ids.every(isInstanceId)) {
    const rule = `Member must satisfy constraint: [Member must satisfy regular expression pattern: ${INSTANCE_ID}]`;
    throw constraint(shown, 'InstanceIds', rule);
  }
  return ids;
}

export function isInstanceId(id: string): boolean {
  return new RegExp(INSTANCE_ID).test(id);
}

function readTargets(input: Input): Target[] {
  const targets = records(input, 'Targets').map((target) => ({
    key: text(target, 'Key') ?? '',
    values: texts(target, 'Values'),
  }));
  if (targets.length > MOST_TARGETS) {
    const shown = `[${targets.map(({ key, values }) => `Target(key=${key}, values=[${values.join(', ')}])`).join(', ')}]`;
    throw constraint(shown, 'Targets', `Member must have length less than or equal to ${MOST_TARGETS}`);
  }
  for (const { key, values } of targets) {
    if (values.length > MOST_INSTANCES) {
      throw constraint(`[${values.join(', ')}]`, 'values', 'Member must have length less than or equal to 50');
    }
    if (!key.startsWith('tag:') && key.toLowerCase() !== 'instanceids') {
      throw new ServiceError('ValidationException', `The lab's Run Command knows no targets by ${key}.`);
    }
  }
  return targets;
}

function readComment(input: Input): string {
  const comment = text(input, 'Comment') ?? '';
  if (comment.length <= COMMENT_LIMIT_CHARACTERS) return comment;
  throw constraint(comment, 'Comment', 'Member must have length less than or equal to 100');
}

function readDocument(input: Input): Pick<Request, 'documentName' | 'documentVersion'> {
  const name = requiredText(input, 'DocumentName');
  const pattern = `Member must satisfy regular expression pattern: ${DOCUMENT_NAME}`;
  if (!new RegExp(DOCUMENT_NAME).test(name)) throw constraint(name, 'DocumentName', pattern);
  if (name.replace(/^arn:aws[\w-]*:ssm:[\w-]*:\d*:document\//, '') !== DOCUMENT) throw invalidDocument(name);
  const version = text(input, 'DocumentVersion') ?? '$DEFAULT';
  if (!DOCUMENT_VERSIONS.includes(version)) throw invalidDocumentVersion(version);
  return { documentName: DOCUMENT, documentVersion: version };
}

function readParameters(given: unknown): Request['parameters'] {
  const parameters = Object.fromEntries(
    Object.entries((given ?? {}) as Input).map(([name, value]) => {
      if (!Array.isArray(value)) throw new ServiceError('SerializationException', `Parameter ${name} is not a list.`);
      return [name, value.map(String)];
    }),
  );
  const unknown = Object.keys(parameters).filter((name) => !(name in CHECKS));
  if (unknown.length > 0) throw invalidParameters(`${DOCUMENT} has no parameter ${unknown.join(', ')}.`);
  if (!parameters.commands) throw invalidParameters('Parameter commands is required.');
  for (const [name, values] of Object.entries(parameters)) CHECKS[name]?.(values);
  return parameters;
}

/** The constraints of AWS-RunShellScript's own parameters. */
const CHECKS: { readonly [parameter: string]: (values: readonly string[]) => void } = {
  commands: (values) => {
    if (values.length === 0) throw invalidParameters('Parameter commands needs at least 1 item.');
  },
  workingDirectory: ([value = '', ...more]) => {
    if (more.length > 0) throw invalidParameters('Parameter workingDirectory takes one value.');
    if (value.length > WORKING_DIRECTORY_LIMIT_CHARACTERS) {
      throw invalidParameters('Parameter workingDirectory has more than 4096 characters.');
    }
  },
  executionTimeout: ([value = '', ...more]) => {
    if (more.length > 0) throw invalidParameters('Parameter executionTimeout takes one value.');
    if (!new RegExp(`^(${EXECUTION_TIMEOUT})$`).test(value)) {
      throw invalidParameters(`Parameter executionTimeout does not match the allowed pattern ${EXECUTION_TIMEOUT}.`);
    }
  },
};

function executionSeconds(wanted: string | undefined): number {
  const seconds = Number(wanted ?? DEFAULT_EXECUTION_SECONDS);
  return seconds < LEAST_EXECUTION_SECONDS ? DEFAULT_EXECUTION_SECONDS : seconds;
}

function matching(input: Input, key: string, pattern: string, fallback: string): string {
  const value = text(input, key) ?? fallback;
  if (new RegExp(pattern).test(value)) return value;
  throw constraint(value, key, `Member must satisfy regular expression pattern: ${pattern}`);
}
