import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { realClock } from '../../lab/model/clock.js';
import { createElbv2, type Elbv2, type TargetTransition } from '../../lab/services/elbv2/elbv2.js';
import type { Input } from '../../lab/wire/service.js';
import { instance, type LabApi, labApi, newInstances } from './lab-api.js';
import { closeServer, closeServers, serve } from './servers.js';

/** A load balancer with real traffic and real checks, a check every quarter of a second. */
let elb: Elbv2;
let api: LabApi;
let group: string;
let listener: string;
let seen: TargetTransition[];
let watchers: Set<() => void>;

const IDLE_MILLISECONDS = 2_000;
const HOST = 'i-0000000a';
const FAST = { HealthCheckIntervalSeconds: '5', HealthCheckTimeoutSeconds: '4', HealthyThresholdCount: '2' };

beforeEach(async () => {
  seen = [];
  watchers = new Set();
  elb = createElbv2({
    instances: newInstances([instance(HOST, '127.0.0.1')]),
    clock: realClock(20),
    region: 'eu-west-1',
    account: '123456789012',
    zones: ['eu-west-1a', 'eu-west-1b'],
    trafficTimeouts: { connectMilliseconds: 700, idleMilliseconds: IDLE_MILLISECONDS },
    onTransition: (transition) => {
      seen.push(transition);
      for (const watch of watchers) watch();
    },
  });
  api = labApi(elb.service);
  group = await api.createGroup('web', FAST);
  ({ listener } = await api.createBalancer('shop', group));
  await drainIn(group, 20);
});

afterEach(async () => {
  await elb.close();
  await closeServers();
});

/** Resolves when a target has reached a state since the test began. */
function reached(port: number, to: string): Promise<void> {
  const has = () => seen.some((transition) => transition.target.port === port && transition.to === to);
  return new Promise((resolve) => {
    const watch = () => {
      if (!has()) return;
      watchers.delete(watch);
      resolve();
    };
    watchers.add(watch);
    watch();
  });
}

async function drainIn(TargetGroupArn: string, seconds: number): Promise<void> {
  const Attributes = [{ Key: 'deregistration_delay.timeout_seconds', Value: String(seconds) }];
  await api.call('ModifyTargetGroupAttributes', { TargetGroupArn, Attributes });
}

const target = (port: number): Input => ({ Id: HOST, Port: String(port) });
const register = (...ports: number[]) => api.register(group, ports.map(target));
const deregister = (port: number) => api.call('DeregisterTargets', { TargetGroupArn: group, Targets: [target(port)] });

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

async function ask(path = '/', options: http.RequestOptions = {}, body?: string): Promise<Answer> {
  const request = http.request(`${elb.listeners()[0]?.url}${path}`, { agent: false, ...options });
  request.end(body);
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return { status: response.statusCode ?? 0, headers: response.headers, body: text };
}

const named = (name: string) => http.createServer((_, response) => response.end(name));
const times = (count: number) => Promise.all(Array.from({ length: count }, () => ask()));

describe('who receives requests', () => {
  test('is every healthy target in turn', async () => {
    const [a, b] = [await serve(named('a')), await serve(named('b'))];
    await register(a, b);
    await Promise.all([reached(a, 'healthy'), reached(b, 'healthy')]);
    const bodies = (await times(10)).map(({ body }) => body);
    expect(bodies.filter((body) => body === 'a')).toHaveLength(5);
    expect(bodies.filter((body) => body === 'b')).toHaveLength(5);
  });

  test('is not a target that fails its checks, although it would answer', async () => {
    const bad = http.createServer((request, response) =>
      response.writeHead(request.headers['user-agent'] === 'ELB-HealthChecker/2.0' ? 500 : 200).end('bad'),
    );
    const [a, b] = [await serve(named('a')), await serve(bad)];
    await register(a, b);
    await Promise.all([reached(a, 'healthy'), reached(b, 'unhealthy')]);
    expect((await times(6)).map(({ body }) => body)).toEqual(Array(6).fill('a'));
  });

  test('is every registered target when none is healthy: the load balancer fails open', async () => {
    const failing = (name: string) =>
      http.createServer((request, response) =>
        response.writeHead(request.headers['user-agent'] === 'ELB-HealthChecker/2.0' ? 500 : 200).end(name),
      );
    const [a, b] = [await serve(failing('a')), await serve(failing('b'))];
    await register(a, b);
    await Promise.all([reached(a, 'unhealthy'), reached(b, 'unhealthy')]);
    const answers = await times(4);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(answers.map(({ body }) => body).sort()).toEqual(['a', 'a', 'b', 'b']);
  });

  test('is nobody in an empty group: 503, of the load balancer itself', async () => {
    const answer = await ask();
    expect(answer.status).toBe(503);
    expect(answer.headers.server).toBe('awselb/2.0');
    expect(answer.body).toContain('503 Service Temporarily Unavailable');
  });

  test('is, of weighted groups, each by its share, and by rules who is asked for', async () => {
    const green = await api.createGroup('green', FAST);
    const [a, b] = [await serve(named('blue')), await serve(named('green'))];
    await register(a);
    const weighted = [
      { TargetGroupArn: group, Weight: '3' },
      { TargetGroupArn: green, Weight: '1' },
    ];
    const DefaultActions = [{ Type: 'forward', ForwardConfig: { TargetGroups: weighted } }];
    await api.call('ModifyListener', { ListenerArn: listener, DefaultActions });
    await api.register(green, [target(b)]);
    await Promise.all([reached(a, 'healthy'), reached(b, 'healthy')]);
    expect((await times(8)).filter(({ body }) => body === 'green')).toHaveLength(2);
    const rule = (Priority: string, Conditions: unknown, action: Input) =>
      api.call('CreateRule', { ListenerArn: listener, Priority, Conditions, Actions: [action] });
    await rule('20', [{ Field: 'path-pattern', Values: ['/api/*'] }], { Type: 'forward', TargetGroupArn: green });
    await rule('10', [{ Field: 'host-header', HostHeaderConfig: { Values: ['old.*'] } }], {
      Type: 'redirect',
      RedirectConfig: { Host: 'new.example.com', StatusCode: 'HTTP_301' },
    });
    await rule('30', [{ Field: 'path-pattern', Values: ['/ping'] }], {
      Type: 'fixed-response',
      FixedResponseConfig: { StatusCode: '200', ContentType: 'text/plain', MessageBody: 'pong' },
    });
    expect((await ask('/api/orders')).body).toBe('green');
    expect((await ask('/ping?x=1')).body).toBe('pong');
    const moved = await ask('/api/a?b=c', { headers: { Host: 'OLD.example.com:8080' } });
    expect([moved.status, moved.headers.location]).toEqual([301, 'http://new.example.com:80/api/a?b=c']);
  });
});

describe('a request', () => {
  test('reaches the target with what the client sent and what the load balancer adds', async () => {
    let received: http.IncomingMessage | undefined;
    const echo = http.createServer((request, response) => {
      if (request.method === 'POST') received = request;
      response.writeHead(
        201,
        [
          ['Set-Cookie', 'a=1'],
          ['Set-Cookie', 'b=2'],
          ['X-Name', 'Ä'],
        ].flat(),
      );
      request.pipe(response);
    });
    await register(await serve(echo));
    const headers = { Host: 'shop.example.com', 'X-Forwarded-For': '203.0.113.7', 'X-Amzn-Trace-Id': 'Root=1-a-b' };
    const body = 'x'.repeat(300_000);
    const answer = await ask('/orders?id=1', { method: 'POST', headers }, body);
    expect([answer.status, answer.body === body, answer.headers['set-cookie']]).toEqual([201, true, ['a=1', 'b=2']]);
    expect(received?.url).toBe('/orders?id=1');
    expect(received?.headers).toMatchObject({
      host: 'shop.example.com',
      'x-forwarded-for': '203.0.113.7, 127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-port': '80',
      'x-amzn-trace-id': expect.stringMatching(/^Self=1-[0-9a-f]{8}-[0-9a-f]{24};Root=1-a-b$/),
    });
  });

  test('streams: status and first bytes of an answer arrive while the target still holds the rest back', async () => {
    let held: http.ServerResponse | undefined;
    const slow = http.createServer((request, response) => {
      if (request.url !== '/slow') return response.end();
      response.flushHeaders();
      held = response;
      return undefined;
    });
    await register(await serve(slow));
    const request = http.get(`${elb.listeners()[0]?.url}/slow`, { agent: false });
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    held?.write('first');
    const [first] = await once(response.setEncoding('utf8'), 'data');
    expect(first).toBe('first');
    held?.end('last');
    const [last] = await once(response, 'data');
    expect(last).toBe('last');
  });

  test('shares connections to its target with those before it', async () => {
    const server = named('a');
    let connections = 0;
    server.on('connection', () => {
      connections += 1;
    });
    const port = await serve(server);
    await register(port);
    await reached(port, 'healthy');
    const before = connections;
    for (let count = 0; count < 5; count += 1) await ask();
    // A health check, on a connection of its own, can fall between.
    expect(connections - before).toBeLessThanOrEqual(2);
  });

  test('to another protocol is passed on, both ways, until the target has drained', async () => {
    const server = http.createServer((_, response) => response.end());
    server.on('upgrade', (request, socket) => {
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${request.headers.upgrade}\r\nConnection: Upgrade\r\n\r\n`,
      );
      socket.on('data', (data) => socket.write(`echo ${data}`));
    });
    const port = await serve(server);
    await register(port);
    const request = http.get(elb.listeners()[0]?.url ?? '', {
      agent: false,
      headers: { Connection: 'Upgrade', Upgrade: 'websocket' },
    });
    const [response, socket] = (await once(request, 'upgrade')) as [http.IncomingMessage, net.Socket];
    expect(response.statusCode).toBe(101);
    socket.write('hello');
    expect(String((await once(socket, 'data'))[0])).toBe('echo hello');
    await drainIn(group, 1);
    const closed = once(socket, 'close');
    await deregister(port);
    await closed;
    expect(elb.targetHealth(group)).toEqual([]);
  });
});

describe('a target that does not do its part', () => {
  test('by refusing, resetting or talking nonsense costs a 502', async () => {
    const gone = http.createServer();
    const refused = await serve(gone);
    await closeServer(gone);
    await register(refused);
    expect((await ask()).status).toBe(502);
    await deregister(refused);
    const reset = await serve(net.createServer((socket) => socket.once('data', () => socket.resetAndDestroy())));
    await register(reset);
    expect((await ask()).status).toBe(502);
    await deregister(reset);
    const nonsense = await serve(net.createServer((socket) => socket.once('data', () => socket.end('hello\r\n\r\n'))));
    await register(nonsense);
    expect((await ask()).status).toBe(502);
  });

  test('by staying silent for the idle timeout costs a 504', async () => {
    await register(await serve(http.createServer(() => undefined)));
    const answer = await ask();
    expect([answer.status, answer.headers.server]).toEqual([504, 'awselb/2.0']);
  });

  test('by not accepting connections in time costs a 504', async () => {
    const { child, port, full } = await deafServer();
    try {
      await register(port);
      const before = Date.now();
      expect((await ask()).status).toBe(504);
      expect(Date.now() - before).toBeLessThan(IDLE_MILLISECONDS);
    } finally {
      for (const socket of full) socket.destroy();
      child.kill('SIGKILL');
    }
  });

  test('by breaking off in the middle breaks the answer off, so that the client sees it', async () => {
    const broken = http.createServer((_, response) => {
      response.writeHead(200, { 'Content-Length': '100' });
      response.write('half', () => response.destroy());
    });
    await register(await serve(broken));
    await expect(ask()).rejects.toThrow(/aborted|ECONNRESET|hang up/);
  });
});

describe('deregistration', () => {
  test('lets the request in flight end, and gives the target no new one', async () => {
    let finish: () => void = () => undefined;
    let arrived: () => void = () => undefined;
    const inHand = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const slow = http.createServer((request, response) => {
      if (request.url !== '/slow') return response.end('slow');
      finish = () => response.end('finished');
      return arrived();
    });
    const [a, b] = [await serve(slow), await serve(named('b'))];
    await register(a);
    await reached(a, 'healthy');
    const answer = ask('/slow');
    await inHand;
    await register(b);
    await deregister(a);
    await reached(b, 'healthy');
    expect((await times(4)).map(({ body }) => body)).toEqual(['b', 'b', 'b', 'b']);
    finish();
    expect(await answer).toMatchObject({ status: 200, body: 'finished' });
  });

  test('ends with a 502 for the request that outlasts the delay', async () => {
    await drainIn(group, 4);
    let arrived: () => void = () => undefined;
    const inHand = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const endless = http.createServer((request, response) => (request.url === '/slow' ? arrived() : response.end()));
    const port = await serve(endless);
    await register(port);
    await reached(port, 'healthy');
    const answer = ask('/slow');
    await inHand;
    await deregister(port);
    expect((await answer).status).toBe(502);
    expect(seen.at(-1)).toMatchObject({ from: 'draining', to: 'unused', reason: 'Target.NotRegistered' });
  });

  test('of the only healthy target sends everything to the one that is not healthy yet', async () => {
    const starting = http.createServer((_, response) => response.writeHead(503).end('starting'));
    const [a, b] = [await serve(named('a')), await serve(starting)];
    await register(a, b);
    await reached(a, 'healthy');
    expect((await ask()).body).toBe('a');
    await deregister(a);
    expect((await ask()).body).toBe('starting');
  });
});

/** A process that listens but is stopped, its queue of connections full: the kernel drops whoever comes now. */
async function deafServer(): Promise<{ child: ChildProcess; port: number; full: net.Socket[] }> {
  const script =
    'require("net").createServer().listen({port:0,host:"127.0.0.1",backlog:1},function(){console.log(this.address().port)})';
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(child.stdout, 'data');
  const port = Number(String(line));
  child.kill('SIGSTOP');
  const full = Array.from({ length: 4 }, () => net.connect(port, '127.0.0.1').on('error', () => undefined));
  await Promise.all(full.slice(0, 2).map((socket) => once(socket, 'connect')));
  return { child, port, full };
}
