import { randomBytes } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { forwardRequest, forwardUpgrade } from './forward.js';
import { errorPage, ownAnswer } from './pages.js';
import { type RouteAction, type RouteRule, redirectLocation, routeOf, Turns } from './routing.js';
import type { TrafficTimeouts, Upstream } from './upstream.js';

/** What a listener asks of the load balancer at each request. */
export interface ListenerBackend {
  /** Protocol and port as the listener declares them; the real port is another one. */
  endpoint(): { readonly protocol: 'HTTP' | 'HTTPS'; readonly port: number };
  /** In order of priority, the default rule last. */
  rules(): readonly RouteRule[];
  /** The targets of a group that may be given a request now; empty if the group has none. */
  rotation(group: string): readonly Upstream[];
}

export interface ListenerProxy {
  readonly port: number;
  readonly url: string;
  /** Takes no more requests, lets those in flight end for `graceMilliseconds`, then cuts them. */
  close(): Promise<void>;
}

/** How long requests in flight may take to end when the lab stops. */
const CLOSE_GRACE_MILLISECONDS = 2_000;
/** Header size limit of an Application Load Balancer: 64 KB for all. */
const MAX_HEADER_BYTES = 65_536;

/** Serves one listener of a load balancer on a free port of `host`. An HTTPS listener speaks HTTP there, TLS ended. */
export async function startProxy(
  host: string,
  backend: ListenerBackend,
  timeouts: TrafficTimeouts,
): Promise<ListenerProxy> {
  const listener = new ListenerServer(backend, timeouts);
  const server = http.createServer({ maxHeaderSize: MAX_HEADER_BYTES, keepAliveTimeout: timeouts.idleMilliseconds });
  // The limits of a long upload or a slow answer are the idle timeouts, not Node's.
  server.requestTimeout = 0;
  server.on('request', (request, response) => listener.answer(request, response));
  server.on('upgrade', (request, socket, sent) => listener.upgrade(request, socket, sent));
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  return { port, url: `http://${host}:${port}`, close: () => closeServer(server, listener) };
}

type ForwardAction = RouteAction & { readonly kind: 'forward' };

class ListenerServer {
  readonly #backend: ListenerBackend;
  readonly #timeouts: TrafficTimeouts;
  readonly #groups = new Turns();
  readonly #targets = new Map<string, Turns>();
  readonly upgraded = new Set<Duplex>();

  constructor(backend: ListenerBackend, timeouts: TrafficTimeouts) {
    this.#backend = backend;
    this.#timeouts = timeouts;
  }

  answer(request: http.IncomingMessage, response: http.ServerResponse): void {
    const action = this.#route(request);
    if (action.kind === 'forward') this.#forward(action, request, response);
    else this.#answerItself(action, request, response);
  }

  upgrade(request: http.IncomingMessage, client: Duplex, sent: Buffer): void {
    const action = this.#route(request);
    const upstream = action.kind === 'forward' ? this.#choose(action) : undefined;
    if (!upstream) return void client.end('HTTP/1.1 503 Service Unavailable\r\nServer: awselb/2.0\r\n\r\n');
    this.upgraded.add(client);
    client.on('close', () => this.upgraded.delete(client));
    const headers = this.#headers(request);
    forwardUpgrade({ request, client, sent, upstream, headers, timeouts: this.#timeouts });
  }

  #forward(action: ForwardAction, request: http.IncomingMessage, response: http.ServerResponse): void {
    const upstream = this.#choose(action);
    const headers = this.#headers(request);
    if (upstream) forwardRequest({ request, response, upstream, headers, timeouts: this.#timeouts });
    else errorPage(response, 503);
  }

  #route(request: http.IncomingMessage): RouteAction {
    const target = { host: request.headers.host ?? '', url: request.url ?? '/' };
    return routeOf(this.#backend.rules(), target) ?? { kind: 'forward', groups: [] };
  }

  #choose({ groups }: ForwardAction): Upstream | undefined {
    const group = groups.length === 1 ? groups[0]?.group : this.#groups.weighted(groups)?.group;
    if (group === undefined) return undefined;
    const turns = this.#targets.get(group) ?? new Turns();
    this.#targets.set(group, turns);
    return turns.among(this.#backend.rotation(group));
  }

  #answerItself(
    action: Exclude<RouteAction, ForwardAction>,
    request: http.IncomingMessage,
    response: http.ServerResponse,
  ): void {
    if (action.kind === 'fixed-response') {
      const { status, body, contentType } = action;
      ownAnswer(response, status, { body, headers: { 'Content-Type': contentType } });
    } else {
      const target = { host: request.headers.host ?? '', url: request.url ?? '/', ...this.#backend.endpoint() };
      ownAnswer(response, action.status, { body: '', headers: { Location: redirectLocation(action, target) } });
    }
  }

  #headers({ headers, socket }: http.IncomingMessage): { [name: string]: string } {
    const { protocol, port } = this.#backend.endpoint();
    const before = headers['x-forwarded-for'];
    const client = (socket.remoteAddress ?? '').replace(/^::ffff:/, '');
    return {
      'x-forwarded-for': before ? `${before}, ${client}` : client,
      'x-forwarded-proto': protocol.toLowerCase(),
      'x-forwarded-port': String(port),
      'x-amzn-trace-id': traceId(headers['x-amzn-trace-id']),
    };
  }
}

/** `Root=1-<epoch in hex>-<24 hex digits>`; a root that the client sent is kept behind a `Self` of the load balancer's. */
function traceId(sent: string | string[] | undefined): string {
  const own = `1-${Math.floor(Date.now() / 1000).toString(16)}-${randomBytes(12).toString('hex')}`;
  return sent ? `Self=${own};${[sent].flat().join(';')}` : `Root=${own}`;
}

async function closeServer(server: http.Server, { upgraded }: ListenerServer): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  // A connection that is busy now would stay open, idle, after its answer.
  server.on('request', (_request, response) => response.on('close', () => server.closeIdleConnections()));
  const timer = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MILLISECONDS);
  for (const client of upgraded) client.destroy();
  await closed;
  clearTimeout(timer);
}
