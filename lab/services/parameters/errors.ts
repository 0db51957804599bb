import { ServiceError } from '../../wire/service.js';

/** Parameter Store names no parameter in this error: its message is empty on the wire. */
export function notFound(): ServiceError {
  return new ServiceError('ParameterNotFound', '', { member: undefined });
}

export function versionNotFound(name: string, selector: string): ServiceError {
  return new ServiceError(
    'ParameterVersionNotFound',
    `Systems Manager could not find version ${selector} of ${name}. Verify the version and try again.`,
  );
}

export function alreadyExists(): ServiceError {
  return new ServiceError(
    'ParameterAlreadyExists',
    'The parameter already exists. To overwrite this value, set the overwrite option in the request to true.',
  );
}

export function tooManyUpdates(): ServiceError {
  return new ServiceError(
    'TooManyUpdates',
    'There are concurrent updates for a resource that supports one update at a time.',
    { member: 'Message' },
  );
}

export function tagsWithOverwrite(): ServiceError {
  return new ServiceError(
    'ValidationException',
    "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove " +
      'overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.',
  );
}

export function notAPath(): ServiceError {
  return new ServiceError(
    'ValidationException',
    'The parameter doesn\'t meet the parameter name requirements. The parameter name must begin with a forward slash "/".',
  );
}

export function invalidToken(): ServiceError {
  return new ServiceError('InvalidNextToken', 'The specified token is not valid.', { member: 'Message' });
}
