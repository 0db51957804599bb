import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, get, type IncomingMessage, request } from 'node:http';
import { createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../src/main.js', import.meta.url));

interface Service {
  readonly port: number;
  readonly process: ChildProcess;
  readonly ended: Promise<[number | null, NodeJS.Signals | null]>;
}

interface Answer {
  readonly status: number;
  readonly connection: string | undefined;
  readonly body: unknown;
}

async function start(context: TestContext, env: NodeJS.ProcessEnv = {}): Promise<Service> {
  const port = await freePort();
  const child = spawn(process.execPath, [main], { env: { PATH: process.env.PATH, PORT: String(port), ...env } });
  context.after(() => child.kill('SIGKILL'));
  const ended = once(child, 'exit') as Service['ended'];
  let output = '';
  child.stderr.on('data', (chunk) => {
    output += chunk;
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk) => {
      output += chunk;
      if (output.includes('listens on')) resolve();
    });
    ended.then(() => reject(new Error(`It ended at the start:\n${output}`)));
  });
  return { port, process: child, ended };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address ? address.port : 0;
}

function fetchFrom(service: Service, path: string, agent?: Agent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    get({ port: service.port, path, agent }, (response) => readAnswer(response).then(resolve, reject)).on(
      'error',
      reject,
    );
  });
}

async function readAnswer(response: IncomingMessage): Promise<Answer> {
  let text = '';
  for await (const chunk of response) text += chunk;
  return { status: response.statusCode ?? 0, connection: response.headers.connection, body: JSON.parse(text) };
}

test('is healthy and says what it is, without any store', async (context) => {
  const service = await start(context, {
    APP_VERSION: '7',
    DEPLOY_RELEASE: 'r1',
    DEPLOY_COMMIT: 'abc',
    DEPLOY_SLOT: 'blue',
  });
  assert.deepEqual((await fetchFrom(service, '/health')).body, { status: 'ok' });
  assert.deepEqual((await fetchFrom(service, '/version')).body, {
    version: '7',
    commit: 'abc',
    release: 'r1',
    slot: 'blue',
  });
  assert.equal((await fetchFrom(service, '/visits')).status, 503);
  assert.equal((await fetchFrom(service, '/notes')).status, 404);
});

test('says which store is away, and ends in order all the same', async (context) => {
  const away = `127.0.0.1:${await freePort()}`;
  const service = await start(context, { REDIS_URL: `redis://${away}`, DATABASE_URL: `postgres://app:x@${away}/app` });
  const answer = await fetchFrom(service, '/visits');
  assert.equal(answer.status, 503);
  assert.match(JSON.stringify(answer.body), /Postgres: .*ECONNREFUSED/);
  assert.equal((await fetchFrom(service, '/health')).status, 200);
  service.process.kill('SIGTERM');
  assert.deepEqual(await service.ended, [0, null]);
});

test('looks for MongoDB again after it was away', async (context) => {
  const service = await start(context, { MONGO_URL: `mongodb://127.0.0.1:${await freePort()}/app` });
  for (let tries = 0; tries < 2; tries++) {
    const answer = await fetchFrom(service, '/notes');
    assert.equal(answer.status, 503);
    assert.match(JSON.stringify(answer.body), /ECONNREFUSED/);
  }
});

test('fails its health check when built to', async (context) => {
  const service = await start(context, { BREAK: 'health' });
  assert.equal((await fetchFrom(service, '/health')).status, 500);
  assert.equal((await fetchFrom(service, '/version')).status, 200);
});

test('on SIGTERM answers the request it has begun and those on kept connections, then ends', async (context) => {
  const service = await start(context);
  const agent = new Agent({ keepAlive: true });
  context.after(() => agent.destroy());
  assert.equal((await fetchFrom(service, '/health', agent)).connection, 'keep-alive');

  const headers = { 'content-type': 'application/json', 'content-length': 2, expect: '100-continue' };
  const begun = request({
    port: service.port,
    path: '/health',
    method: 'POST',
    headers,
    agent: new Agent({ keepAlive: true }),
  });
  begun.flushHeaders();
  await once(begun, 'continue');

  const asked = Date.now();
  service.process.kill('SIGTERM');
  let last: Answer;
  do last = await fetchFrom(service, '/health', agent);
  while (last.connection !== 'close');
  assert.equal(last.status, 200);

  begun.end('{}');
  const [response] = await once(begun, 'response');
  assert.equal((await readAnswer(response)).connection, 'close');
  assert.deepEqual(await service.ended, [0, null]);
  assert.ok(Date.now() - asked < 2_000, 'It took more than 2 s.');
});
