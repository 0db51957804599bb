import { ServiceError } from '../../wire/service.js';

/** Run Command's errors, each with the member that SSM's model gives its message, if any. */
export function invalidInstanceId(): ServiceError {
  return new ServiceError('InvalidInstanceId', 'Instances not in a valid state for account', { member: 'Message' });
}

export function duplicateInstanceId(): ServiceError {
  return new ServiceError('DuplicateInstanceId', '', { member: undefined });
}

export function invalidDocument(name: string): ServiceError {
  return new ServiceError('InvalidDocument', `Document with name ${name} does not exist.`, { member: 'Message' });
}

export function invalidDocumentVersion(version: string): ServiceError {
  return new ServiceError('InvalidDocumentVersion', `The document has no version ${version}.`, { member: 'Message' });
}

export function invalidParameters(message: string): ServiceError {
  return new ServiceError('InvalidParameters', message, { member: 'Message' });
}

export function invalidCommandId(): ServiceError {
  return new ServiceError('InvalidCommandId', '', { member: undefined });
}

export function invocationDoesNotExist(): ServiceError {
  return new ServiceError('InvocationDoesNotExist', '', { member: undefined });
}

export function invalidPluginName(): ServiceError {
  return new ServiceError('InvalidPluginName', '', { member: undefined });
}

export function invalidFilterKey(): ServiceError {
  return new ServiceError('InvalidFilterKey', '', { member: undefined });
}

export function malformedInstanceId(id: string): ServiceError {
  return new ServiceError('InvalidInstanceId', `Value '${id}' is not an instance id.`, { member: 'Message' });
}

export function validation(message: string): ServiceError {
  return new ServiceError('ValidationException', message);
}
