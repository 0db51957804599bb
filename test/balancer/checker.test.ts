import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { type Check, matches, sendCheck } from '../../lab/balancer/checker.js';
import { realClock } from '../../lab/model/clock.js';
import { CERTIFICATE, KEY } from './certificate.js';
import { closeServers, serve } from './servers.js';

/** Twenty seconds of the lab pass in one, so a timeout of 5 s takes a quarter of a second. */
const clock = realClock(20);

const checkOf = (port: number, options: Partial<Check> = {}): Check => ({
  protocol: 'HTTP',
  host: '127.0.0.1',
  port,
  hostHeader: `10.0.0.1:${port}`,
  path: '/health?deep=1',
  matcher: '200',
  timeoutMilliseconds: 5_000,
  ...options,
});

afterEach(closeServers);

describe('a health check', () => {
  test('is a GET with the private IP as host and the name of the checker, on a connection of its own', async () => {
    const requests: http.IncomingMessage[] = [];
    const sockets: net.Socket[] = [];
    const server = http.createServer((request, response) => {
      requests.push(request);
      response.end('ok');
    });
    const closed: Promise<void>[] = [];
    server.on('connection', (socket) => {
      sockets.push(socket);
      closed.push(new Promise((resolve) => socket.on('close', () => resolve())));
    });
    const port = await serve(server);
    expect(await sendCheck(checkOf(port), clock)).toEqual({ kind: 'pass' });
    expect(await sendCheck(checkOf(port), clock)).toEqual({ kind: 'pass' });
    await Promise.all(closed);
    expect(sockets).toHaveLength(2);
    expect(requests.map(({ method, url }) => `${method} ${url}`)).toEqual(['GET /health?deep=1', 'GET /health?deep=1']);
    expect(requests[0]?.headers).toEqual({
      host: `10.0.0.1:${port}`,
      connection: 'close',
      'user-agent': 'ELB-HealthChecker/2.0',
      'accept-encoding': 'gzip, compressed',
    });
  });

  test('fails with the code of an answer that does not match, and follows no redirect', async () => {
    const port = await serve(
      http.createServer(({ url }, response) =>
        url === '/' ? response.writeHead(302, { Location: '/ok' }).end() : response.end(),
      ),
    );
    expect(await sendCheck(checkOf(port, { path: '/' }), clock)).toEqual({ kind: 'code', status: 302 });
    expect(await sendCheck(checkOf(port, { path: '/', matcher: '200-399' }), clock)).toEqual({ kind: 'pass' });
  });

  test('times out on a target that does not answer within the timeout of the lab’s clock', async () => {
    const port = await serve(http.createServer(() => undefined));
    const before = Date.now();
    expect(await sendCheck(checkOf(port, { timeoutMilliseconds: 4_000 }), clock)).toEqual({ kind: 'timeout' });
    expect(Date.now() - before).toBeGreaterThanOrEqual(190);
  });

  test('fails on a port that nobody listens on, a reset, and an answer that is no HTTP', async () => {
    const free = await serve(http.createServer());
    await closeServers();
    expect(await sendCheck(checkOf(free), clock)).toEqual({ kind: 'failed' });
    const reset = await serve(net.createServer((socket) => socket.once('data', () => socket.resetAndDestroy())));
    expect(await sendCheck(checkOf(reset), clock)).toEqual({ kind: 'failed' });
    const garbage = await serve(net.createServer((socket) => socket.once('data', () => socket.end('hello\r\n\r\n'))));
    expect(await sendCheck(checkOf(garbage), clock)).toEqual({ kind: 'failed' });
  });

  test('over HTTPS accepts any certificate, and fails on a target that speaks plain HTTP', async () => {
    const tls = await serve(https.createServer({ key: KEY, cert: CERTIFICATE }, (_, response) => response.end()));
    expect(await sendCheck(checkOf(tls, { protocol: 'HTTPS' }), clock)).toEqual({ kind: 'pass' });
    const plain = await serve(http.createServer((_, response) => response.end()));
    expect(await sendCheck(checkOf(plain, { protocol: 'HTTPS' }), clock)).toEqual({ kind: 'failed' });
  });
});

test('a matcher is a code, a list or a range', () => {
  const codes = [199, 200, 201, 202, 299, 300];
  const passing = (matcher: string) => codes.filter((status) => matches(matcher, status));
  expect(passing('200')).toEqual([200]);
  expect(passing('200,202')).toEqual([200, 202]);
  expect(passing('200-299')).toEqual([200, 201, 202, 299]);
  expect(passing('200, 299-300')).toEqual([200, 299, 300]);
});
