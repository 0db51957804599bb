import type { IncomingMessage, ServerResponse } from 'node:http';
import type { LabClock } from '../../model/clock.js';
import { ServiceError } from '../../wire/service.js';
import { type Images, isDigest } from './images.js';
import { notFoundMessage, type Repositories, type Repository } from './repositories.js';
import type { Tokens } from './tokens.js';
import { type Upstream, UpstreamRefusal } from './upstream.js';

export interface RegistryOptions {
  readonly clock: LabClock;
  readonly region: string;
  readonly registryHost: string;
  readonly repositories: Repositories;
  readonly images: Images;
  readonly tokens: Tokens;
  readonly upstream: Upstream;
}

/** ECR's own limit for a manifest. */
const MANIFEST_LIMIT_BYTES = 4 * 1024 * 1024;

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly repository: Repository;
  /** What comes after `manifests/` or `blobs/`. */
  readonly rest: string;
}

class RegistryError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/**
 * ECR's face of a plain docker registry, a handler for an HTTP server: Basic authentication with ECR's tokens and no
 * bearer dance, repositories that must exist, immutable tags. Manifests go through the lab's index of images, layers
 * stream through.
 */
export function createRegistry(options: RegistryOptions): (request: IncomingMessage, response: ServerResponse) => void {
  const { repositories, images, tokens, upstream, clock } = options;

  return (request, response) => {
    response.setHeader('docker-distribution-api-version', 'registry/2.0');
    answer(request, response).catch((error: unknown) => refuse(response, error));
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const login = tokens.check(request.headers.authorization);
    if (login === 'unknown') return challenge(options, response);
    if (login === 'expired') throw expired();
    const url = new URL(request.url ?? '/', `http://${options.registryHost}`);
    if (/^\/v2\/?$/.test(url.pathname)) return sendJson(response, 200, {});
    const [, name, kind, rest] = /^\/v2\/(.+)\/(manifests|blobs|tags|referrers)\/(.+)$/.exec(url.pathname) ?? [];
    if (!name || !kind || !rest) throw new RegistryError(404, 'UNSUPPORTED', 'The operation is unsupported.');
    const repository = repositories.find(name);
    if (!repository) throw new RegistryError(404, 'NAME_UNKNOWN', notFoundMessage(name, repositories.account));
    await route(kind, { request, response, url, repository, rest: decodeURIComponent(rest) });
  }

  async function route(kind: string, exchange: Exchange): Promise<void> {
    const { request, response, repository } = exchange;
    if (kind === 'manifests') return manifests(exchange);
    if (kind === 'blobs') return forward(exchange, blobPath(exchange));
    if (kind === 'referrers' || request.method !== 'GET') return forward(exchange, exchange.url.pathname);
    await images.all(repository);
    sendJson(response, 200, { name: repository.name, tags: [...repository.tags.keys()].sort() });
  }

  function manifests(exchange: Exchange): Promise<void> {
    const { method } = exchange.request;
    if (method === 'GET' || method === 'HEAD') return pullManifest(exchange);
    if (method === 'PUT') return pushManifest(exchange);
    throw new RegistryError(405, 'UNSUPPORTED', 'The operation is unsupported.');
  }

  async function pullManifest(exchange: Exchange): Promise<void> {
    const { request, repository, rest } = exchange;
    const image = await images.find(repository, rest);
    if (image?.status !== 'ACTIVE') throw new RegistryError(404, 'MANIFEST_UNKNOWN', 'Requested image not found');
    if (request.method === 'GET') image.pulledAt = clock.now();
    forward(exchange, `/v2/${repository.name}/manifests/${image.digest}`);
  }

  async function pushManifest({ request, response, repository, rest }: Exchange): Promise<void> {
    const body = await readManifest(request);
    const named = isDigest(rest) ? { digest: rest, tag: undefined } : { tag: rest };
    const mediaType = request.headers['content-type'];
    const { digest } = await images.push(repository, { body, mediaType, ifPresent: 'accept', ...named });
    const location = `${baseOf(request)}/v2/${repository.name}/manifests/${digest}`;
    response.writeHead(201, { location, 'docker-content-digest': digest, 'content-length': 0 }).end();
  }

  /** A mount from a repository that ECR does not know becomes an ordinary upload. */
  function blobPath({ url }: Exchange): string {
    const from = url.searchParams.get('from');
    if (from !== null && !repositories.find(from)) {
      url.searchParams.delete('from');
      url.searchParams.delete('mount');
    }
    return url.pathname + url.search;
  }

  function forward({ request, response }: Exchange, path: string): void {
    const failed = ({ message }: Error) => refuse(response, new RegistryError(503, 'UNAVAILABLE', message));
    upstream.forward(request, response, { path, base: baseOf(request), failed });
  }

  function baseOf(request: IncomingMessage): string {
    return `http://${request.headers.host ?? options.registryHost}`;
  }
}

async function readManifest(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > MANIFEST_LIMIT_BYTES) throw new RegistryError(413, 'MANIFEST_INVALID', 'The manifest is too large.');
  }
  return Buffer.concat(chunks);
}

/** ECR's answer to a request without a login, to the byte. */
function challenge({ region, repositories }: RegistryOptions, response: ServerResponse): void {
  const realm = `https://${repositories.account}.dkr.ecr.${region}.amazonaws.com/`;
  const body = 'Not Authorized\n';
  response
    .writeHead(401, {
      'www-authenticate': `Basic realm="${realm}",service="ecr.amazonaws.com"`,
      'content-type': 'text/plain; charset=utf-8',
      'content-length': body.length,
    })
    .end(body);
}

function expired(): RegistryError {
  return new RegistryError(403, 'DENIED', 'Your authorization token has expired. Reauthenticate and try again.');
}

function refuse(response: ServerResponse, error: unknown): void {
  if (response.headersSent) response.destroy();
  else if (error instanceof UpstreamRefusal) send(response, error.status, error.body);
  else {
    const { status, code, message } = asRegistryError(error);
    sendJson(response, status, { errors: [{ code, message }] });
  }
}

function asRegistryError(error: unknown): RegistryError {
  if (error instanceof RegistryError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof ServiceError)) return new RegistryError(500, 'UNKNOWN', message);
  if (error.code === 'ImageDigestDoesNotMatchException') return new RegistryError(400, 'DIGEST_INVALID', message);
  return new RegistryError(400, 'TAG_INVALID', message);
}

function sendJson(response: ServerResponse, status: number, content: unknown): void {
  send(response, status, JSON.stringify(content));
}

function send(response: ServerResponse, status: number, body: string): void {
  response
    .writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(body) })
    .end(body);
}
