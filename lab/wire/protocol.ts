import { escapeXml, toJson, toXml, toXmlFields } from './serialize.js';
import { type Service, ServiceError } from './service.js';

export interface WireResponse {
  readonly status: number;
  readonly headers: { readonly [name: string]: string };
  readonly body: string;
}

/** What a caller does wrong before any operation runs; each protocol has its own names for the same fault. */
export interface Protocol {
  success(service: Service, operation: string, output: unknown, requestId: string): WireResponse;
  failure(error: ServiceError, requestId: string, service?: Service): WireResponse;
  unknownOperation(operation: string, service?: Service): ServiceError;
  missingCredentials(): ServiceError;
  unknownCredentials(): ServiceError;
}

const TOKEN_INVALID = 'The security token included in the request is invalid.';

const json: Protocol = {
  success: (_service, _operation, output, requestId) => jsonResponse(200, toJson(output), requestId),
  failure: ({ code, status, member, message }, requestId) =>
    jsonResponse(status, JSON.stringify({ __type: code, ...(member ? { [member]: message } : {}) }), requestId),
  unknownOperation: (operation, service) =>
    new ServiceError(
      'UnknownOperationException',
      service ? `The lab's ${service.id} has no operation ${operation}.` : `The lab has no service for ${operation}.`,
    ),
  missingCredentials: () => new ServiceError('MissingAuthenticationTokenException', 'Missing Authentication Token'),
  unknownCredentials: () => new ServiceError('UnrecognizedClientException', TOKEN_INVALID, { status: 403 }),
};

const query: Protocol = {
  success: (service, operation, output, requestId) => {
    const result = toXml(`${operation}Result`, output ?? {}, 'member');
    const metadata = `<ResponseMetadata><RequestId>${requestId}</RequestId></ResponseMetadata>`;
    return xmlResponse(200, element(`${operation}Response`, service, result + metadata), requestId);
  },
  failure: ({ code, status, message }, requestId, service) => {
    const type = status < 500 ? 'Sender' : 'Receiver';
    const error = `<Error><Type>${type}</Type><Code>${code}</Code><Message>${escapeXml(message)}</Message></Error>`;
    return xmlResponse(
      status,
      element('ErrorResponse', service, `${error}<RequestId>${requestId}</RequestId>`),
      requestId,
    );
  },
  unknownOperation: (operation, service) =>
    new ServiceError(
      'InvalidAction',
      service
        ? `Could not find operation ${operation} for version ${service.version}`
        : `The lab has no service for ${operation}.`,
    ),
  missingCredentials: () =>
    new ServiceError('MissingAuthenticationToken', 'Request is missing Authentication Token', { status: 403 }),
  unknownCredentials: () => new ServiceError('InvalidClientTokenId', TOKEN_INVALID, { status: 403 }),
};

const notValidated = () =>
  new ServiceError('AuthFailure', 'AWS was not able to validate the provided access credentials', { status: 401 });

const ec2: Protocol = {
  success: (service, operation, output, requestId) => {
    const content = `<requestId>${requestId}</requestId>${toXmlFields(output, 'item')}`;
    return xmlResponse(200, element(`${operation}Response`, service, content), requestId);
  },
  failure: ({ code, status, message }, requestId) => {
    const error = `<Error><Code>${code}</Code><Message>${escapeXml(message)}</Message></Error>`;
    const body = `<Response><Errors>${error}</Errors><RequestID>${requestId}</RequestID></Response>`;
    return xmlResponse(status, body, requestId);
  },
  unknownOperation: (operation) =>
    new ServiceError('InvalidAction', `The action ${operation} is not valid for this web service.`),
  missingCredentials: notValidated,
  unknownCredentials: notValidated,
};

/** The three protocols, as the AWS SDKs and the AWS CLI read and write them. */
export const protocols: { readonly [name in Service['protocol']]: Protocol } = { json, query, ec2 };

function jsonResponse(status: number, body: string, requestId: string): WireResponse {
  return {
    status,
    headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-requestid': requestId },
    body,
  };
}

function xmlResponse(status: number, body: string, requestId: string): WireResponse {
  return {
    status,
    headers: { 'content-type': 'text/xml;charset=UTF-8', 'x-amzn-requestid': requestId },
    body: `<?xml version="1.0" encoding="UTF-8"?>\n${body}`,
  };
}

function element(name: string, service: Service | undefined, content: string): string {
  const namespace = service?.xmlNamespace ? ` xmlns="${service.xmlNamespace}"` : '';
  return `<${name}${namespace}>${content}</${name}>`;
}
