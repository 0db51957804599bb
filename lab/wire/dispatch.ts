import { randomUUID } from 'node:crypto';
import { parseForm } from './form.js';
import { type Protocol, protocols, type WireResponse } from './protocol.js';
import { type Input, type Principal, type Service, ServiceError } from './service.js';

/** One API call. `status` and `code` are there once it has been answered, `code` and `error` only if it failed. */
export interface WireCall {
  readonly service: Service['id'];
  readonly operation: string;
  readonly principal: Principal;
  readonly input: Input;
  readonly status?: number;
  readonly code?: string;
  /** The lab's own fault: what an operation threw that is no answer of the service. */
  readonly error?: unknown;
}

export interface DispatchOptions {
  readonly services: readonly Service[];
  readonly region: string;
  readonly account: string;
  readonly principals: (accessKeyId: string) => Principal | undefined;
  /** Sees every call by a known caller to a known service, after it was answered. */
  readonly onCall?: (call: WireCall) => void;
  /** Asked before an operation runs: the error to answer with instead (throttling, outages), or undefined. */
  readonly intercept?: (call: WireCall) => ServiceError | undefined | Promise<ServiceError | undefined>;
  readonly requestId?: () => string;
}

export interface WireRequest {
  /** Names in lower case. */
  readonly headers: { readonly [name: string]: string | readonly string[] | undefined };
  readonly body: string;
}

export type Dispatch = (request: WireRequest) => Promise<WireResponse>;

interface Route {
  readonly protocol: Protocol;
  readonly service: Service | undefined;
  readonly operation: string;
  readonly input: Input;
}

/**
 * The lab's AWS as a function from request to response, without a socket. Never rejects: what an operation throws is
 * answered as the service would, a fault of the lab as 500 InternalFailure with its message.
 */
export function createDispatch(options: DispatchOptions): Dispatch {
  const requestId = options.requestId ?? randomUUID;
  return async (request) => {
    const id = requestId();
    const route = routeOf(request, options.services);
    if (route instanceof ServiceError) return protocols.json.failure(route, id);
    const { protocol, service, operation } = route;
    try {
      const output = await answer(route, request, options, id);
      return protocol.success(service as Service, operation, output, id);
    } catch (error) {
      return protocol.failure(asServiceError(error), id, service);
    }
  };
}

async function answer(route: Route, request: WireRequest, options: DispatchOptions, requestId: string) {
  const { protocol, service, operation, input } = route;
  const principal = authenticate(request, protocol, options.principals);
  if (!service) throw protocol.unknownOperation(operation);
  const call: WireCall = { service: service.id, operation, principal, input };
  try {
    const refusal = await options.intercept?.(call);
    if (refusal) throw refusal;
    const perform = Object.hasOwn(service.operations, operation) ? service.operations[operation] : undefined;
    if (!perform) throw protocol.unknownOperation(operation, service);
    const { region, account } = options;
    const output = await perform(input, { region, account, principal, requestId });
    options.onCall?.({ ...call, status: 200 });
    return output;
  } catch (error) {
    const { status, code } = asServiceError(error);
    options.onCall?.({ ...call, status, code, ...(error instanceof ServiceError ? {} : { error }) });
    throw error;
  }
}

function routeOf({ headers, body }: WireRequest, services: readonly Service[]): Route | ServiceError {
  const target = headers['x-amz-target'];
  if (typeof target === 'string') {
    const [prefix, operation = ''] = target.split('.', 2);
    const service = services.find(({ targetPrefix }) => targetPrefix === prefix);
    const input = parseJson(body);
    if (!input) return new ServiceError('SerializationException', 'The body is not a JSON object.');
    return { protocol: protocols.json, service, operation: service ? operation : target, input };
  }
  const { Action, Version, ...input } = parseForm(body);
  const service = services.find(({ version }) => version !== undefined && version === Version);
  const protocol = protocols[service?.protocol ?? 'query'];
  const operation = service ? String(Action ?? '') : `Action ${Action ?? '(none)'}, Version ${Version ?? '(none)'}`;
  return { protocol, service, operation, input };
}

function parseJson(body: string): Input | undefined {
  try {
    const value: unknown = JSON.parse(body || '{}');
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Input) : undefined;
  } catch {
    return undefined;
  }
}

/** The signature is not verified: the access key says who calls, and the lab is nobody's but its user's. */
function authenticate(
  { headers }: WireRequest,
  protocol: Protocol,
  principals: DispatchOptions['principals'],
): Principal {
  const accessKeyId = /Credential=([^/,\s]+)\//.exec(String(headers.authorization ?? ''))?.[1];
  if (!accessKeyId) throw protocol.missingCredentials();
  const principal = principals(accessKeyId);
  if (!principal) throw protocol.unknownCredentials();
  return principal;
}

function asServiceError(error: unknown): ServiceError {
  if (error instanceof ServiceError) return error;
  return new ServiceError('InternalFailure', error instanceof Error ? error.message : String(error), { status: 500 });
}
