import http from 'node:http';
import type { Duplex } from 'node:stream';
import { errorPage } from './pages.js';
import type { TrafficTimeouts, Upstream } from './upstream.js';

export interface Forward {
  readonly request: http.IncomingMessage;
  readonly upstream: Upstream;
  /** What the load balancer adds or sets, by lower-case name. */
  readonly headers: { readonly [name: string]: string };
  readonly timeouts: TrafficTimeouts;
}

/**
 * Passes one request to a target and its answer back, both streamed. 502 when the target refuses, resets or answers
 * something that is no HTTP, or when its deregistration delay ends first; 504 when it can't be connected to in time or
 * stays silent for the idle timeout. Nothing is sent twice: a target that closes an idle connection at the moment it is
 * used costs a 502, as on AWS.
 */
export function forwardRequest({ response, ...forward }: Forward & { readonly response: http.ServerResponse }): void {
  const outgoing = send(forward, (status) => {
    // An answer that has begun is cut by the error of its own stream below.
    if (!response.headersSent && !response.destroyed) errorPage(response, status);
  });
  outgoing.on('response', (incoming) => {
    response.writeHead(incoming.statusCode ?? 502, incoming.statusMessage ?? '', endToEnd(incoming.rawHeaders));
    // Announced at once: a client may wait for the status of an answer whose first byte comes late.
    response.flushHeaders();
    incoming.pipe(response);
    incoming.on('error', () => response.destroy());
  });
  response.on('close', () => response.writableFinished || outgoing.destroy());
  forward.request.pipe(outgoing);
}

/** Passes a request that asks for another protocol (a WebSocket), and after a 101 every byte of both sides. */
export function forwardUpgrade({ client, sent, ...forward }: Forward & UpgradeSide): void {
  const outgoing = send(forward, (status) => client.end(`HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\n\r\n`));
  outgoing.on('upgrade', (incoming, target, head) => {
    client.write(rawHead(incoming, incoming.rawHeaders));
    if (head.length > 0) client.write(head);
    if (sent.length > 0) target.write(sent);
    forward.upstream.upgraded.add(target);
    target.on('close', () => forward.upstream.upgraded.delete(target));
    join(client, target);
  });
  outgoing.on('response', (incoming) => {
    client.write(rawHead(incoming, [...endToEnd(incoming.rawHeaders), 'Connection', 'close']));
    incoming.pipe(client);
  });
  client.on('error', () => outgoing.destroy());
  client.on('close', () => outgoing.destroy());
  outgoing.end();
}

interface UpgradeSide {
  readonly client: Duplex;
  /** What the client sent behind its request already. */
  readonly sent: Buffer;
}

/** Starts the request to the target; `fail` is called at most once, with 502 or 504. */
function send(
  { request, upstream, headers, timeouts }: Forward,
  fail: (status: 502 | 504) => void,
): http.ClientRequest {
  const outgoing = http.request({
    host: upstream.host,
    port: upstream.port,
    agent: upstream.agent,
    method: request.method,
    path: request.url,
    timeout: timeouts.idleMilliseconds,
    headers: outgoingHeaders(request, headers),
  } as http.RequestOptions);
  let status: 502 | 504 = 502;
  const timeOut = () => {
    status = 504;
    outgoing.destroy(new Error('The target did not answer in time.'));
  };
  limitConnect(outgoing, timeouts.connectMilliseconds, timeOut);
  outgoing.on('timeout', timeOut);
  outgoing.on('error', () => fail(status));
  return outgoing;
}

function limitConnect(outgoing: http.ClientRequest, milliseconds: number, timeOut: () => void): void {
  outgoing.on('socket', (socket) => {
    if (!socket.connecting) return;
    const timer = setTimeout(timeOut, milliseconds);
    socket.once('connect', () => clearTimeout(timer));
    socket.once('close', () => clearTimeout(timer));
  });
}

const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'proxy-connection', 'expect']);

/** The client's headers with their spelling and order, without those of its connection, and with the load balancer's. */
function outgoingHeaders(request: http.IncomingMessage, added: { readonly [name: string]: string }): string[] {
  const upgrading = request.headers.upgrade !== undefined;
  const kept = filterHeaders(request.rawHeaders, (name) => !(name in added) && (upgrading || !HOP_BY_HOP.has(name)));
  return [...kept, ...Object.entries(added).flat(), ...(isEmptyUpload(request) ? ['content-length', '0'] : [])];
}

/** Without a length Node would send such a request in chunks, which the client did not. */
function isEmptyUpload({ method = '', headers }: http.IncomingMessage): boolean {
  const framed = headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
  return !framed && ['POST', 'PUT', 'PATCH'].includes(method);
}

/** Node frames the answer itself: by length where the target gave one, else in chunks or by the end of the connection. */
function endToEnd(rawHeaders: readonly string[]): string[] {
  return filterHeaders(rawHeaders, (name) => !HOP_BY_HOP.has(name) && name !== 'transfer-encoding');
}

function filterHeaders(rawHeaders: readonly string[], keep: (name: string) => boolean): string[] {
  const kept: string[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const [name = '', value = ''] = [rawHeaders[index], rawHeaders[index + 1]];
    if (keep(name.toLowerCase())) kept.push(name, value);
  }
  return kept;
}

function rawHead({ statusCode, statusMessage }: http.IncomingMessage, rawHeaders: readonly string[]): string {
  const lines = [`HTTP/1.1 ${statusCode} ${statusMessage}`];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2)
    lines.push(`${rawHeaders[index]}: ${rawHeaders[index + 1]}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}

function join(client: Duplex, target: Duplex): void {
  client.pipe(target).pipe(client);
  for (const [one, other] of [
    [client, target],
    [target, client],
  ] as const) {
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroy());
  }
}
