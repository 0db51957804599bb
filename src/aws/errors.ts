import { type Problem, ProblemsError } from '../problem.js';

/**
 * Turns what an SDK client threw into problems with stable codes: AWS_ACCESS_DENIED, AWS_CREDENTIALS, AWS_THROTTLED,
 * AWS_UNAVAILABLE, or AWS_REQUEST_FAILED for everything else. `action` is the IAM action of the call
 * (`ssm:SendCommand`). Aborts and what is a ProblemsError already are returned as they are.
 */
export function toProblems(error: unknown, action: string): Error {
  if (error instanceof ProblemsError || isAbort(error)) return error;
  return new ProblemsError([describeFailure(readAwsError(error), action)], { cause: error });
}

/** Whether the same call may succeed a moment later: throttled, a server error, or no answer at all. */
export function isTransient(error: unknown): boolean {
  const transient = ['AWS_THROTTLED', 'AWS_UNAVAILABLE'];
  if (error instanceof ProblemsError) return error.problems.every(({ code }) => transient.includes(code));
  return !isAbort(error) && transient.includes(classify(readAwsError(error)));
}

export function isAbort(error: unknown): error is Error {
  return error instanceof Error && error.name === 'AbortError';
}

/**
 * The error code as it stood on the wire. The SDK names modelled errors of ELBv2 and STS after their shape
 * (`TargetGroupNotFoundException`) and keeps the code (`TargetGroupNotFound`) beside it.
 */
export function wireCode(error: unknown): string {
  return readAwsError(error).code;
}

interface AwsError {
  readonly code: string;
  readonly name: string;
  readonly message: string;
  readonly status: number | undefined;
}

function readAwsError(error: unknown): AwsError {
  const { Code, code, name, message, $metadata } = error as {
    Code?: unknown;
    code?: unknown;
    name?: unknown;
    message?: unknown;
    $metadata?: { httpStatusCode?: number };
  };
  const word = [Code, code, name].find((candidate) => typeof candidate === 'string') as string | undefined;
  return {
    code: word ?? '',
    name: typeof name === 'string' ? name : '',
    message: typeof message === 'string' ? message : String(error),
    status: $metadata?.httpStatusCode,
  };
}

type FailureCode = 'AWS_ACCESS_DENIED' | 'AWS_CREDENTIALS' | 'AWS_THROTTLED' | 'AWS_UNAVAILABLE' | 'AWS_REQUEST_FAILED';

function classify(error: AwsError): FailureCode {
  const words = [error.code, error.name];
  if (words.some((word) => CREDENTIALS.has(word))) return 'AWS_CREDENTIALS';
  if (words.some((word) => ACCESS_DENIED.has(word))) return 'AWS_ACCESS_DENIED';
  if (error.status === 429 || words.some((word) => THROTTLED.has(word))) return 'AWS_THROTTLED';
  if ((error.status ?? 0) >= 500 || words.some((word) => UNAVAILABLE.has(word))) return 'AWS_UNAVAILABLE';
  return error.status === 403 ? 'AWS_ACCESS_DENIED' : 'AWS_REQUEST_FAILED';
}

function describeFailure(error: AwsError, action: string): Problem {
  const code = classify(error);
  const cause = error.message;
  switch (code) {
    case 'AWS_ACCESS_DENIED': {
      const denied = deniedAction(error.message) ?? action;
      return {
        code,
        message: `The role of this job may not call ${denied}.`,
        cause,
        fix: `Allow ${denied} in the role's policy.`,
      };
    }
    case 'AWS_CREDENTIALS':
      return {
        code,
        message: `AWS did not accept the credentials for ${action}.`,
        cause,
        fix: 'Run aws-actions/configure-aws-credentials before this step, with a role session that outlasts the job.',
      };
    case 'AWS_THROTTLED':
      return { code, message: `AWS throttled ${action}.`, cause };
    case 'AWS_UNAVAILABLE':
      return { code, message: `AWS did not answer ${action}.`, cause };
    case 'AWS_REQUEST_FAILED':
      return { code, message: `AWS refused ${action} with ${error.code || 'an unnamed error'}.`, cause };
    default:
      return code satisfies never;
  }
}

/** IAM's own sentence names the action that is missing, which need not be the one that was called. */
function deniedAction(message: string): string | undefined {
  return /not authorized to perform: ([a-z0-9-]+:[A-Za-z0-9*]+)/.exec(message)?.[1];
}

const ACCESS_DENIED = new Set(['AccessDenied', 'AccessDeniedException', 'UnauthorizedOperation', 'UnauthorizedAccess']);

const CREDENTIALS = new Set([
  'AuthFailure',
  'CredentialsProviderError',
  'ExpiredToken',
  'ExpiredTokenException',
  'InvalidClientTokenId',
  'InvalidSignatureException',
  'MissingAuthenticationToken',
  'RequestExpired',
  'SignatureDoesNotMatch',
  'TokenProviderError',
  'UnrecognizedClientException',
]);

/** The SDK's own list of what it calls throttling (@smithy/core). */
const THROTTLED = new Set([
  'BandwidthLimitExceeded',
  'EC2ThrottledException',
  'LimitExceededException',
  'PriorRequestNotComplete',
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
  'RequestThrottled',
  'RequestThrottledException',
  'SlowDown',
  'ThrottledException',
  'Throttling',
  'ThrottlingException',
  'TooManyRequestsException',
  'TooManyUpdates',
]);

/** Names of server errors and of connections that failed, as Node and the SDK give them. */
const UNAVAILABLE = new Set([
  'EAI_AGAIN',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
  'HealthUnavailable',
  'InternalError',
  'InternalFailure',
  'InternalServerError',
  'RequestTimeout',
  'RequestTimeoutException',
  'ServiceUnavailable',
  'ServiceUnavailableException',
  'TimeoutError',
]);
