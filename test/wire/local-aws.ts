import type { LabClock } from '../../lab/model/clock.js';
import { startWireServer, type WireServerOptions } from '../../lab/wire/server.js';
import type { Operation, Service } from '../../lab/wire/service.js';

export const REGION = 'eu-central-1';
export const ACCOUNT = '123456789012';
export const DEPLOYER = {
  accessKeyId: 'AKIDEPLOYER000000001',
  arn: `arn:aws:sts::${ACCOUNT}:assumed-role/deploy/run-1`,
  userId: 'AROADEPLOYER:run-1',
};

/** A lab's wire server on the loopback with one known caller, and what an SDK client needs to reach it. */
export async function startLocalAws(services: Service[], options: Partial<WireServerOptions> = {}) {
  const server = await startWireServer({
    services,
    hosts: ['127.0.0.1'],
    region: REGION,
    account: ACCOUNT,
    principals: (id) => (id === DEPLOYER.accessKeyId ? DEPLOYER : undefined),
    ...options,
  });
  return { ...server, client: clientSettings(server.port) };
}

export function clientSettings(port: number, accessKeyId = DEPLOYER.accessKeyId) {
  return {
    region: REGION,
    endpoint: `http://127.0.0.1:${port}`,
    credentials: { accessKeyId, secretAccessKey: 'secret' },
    maxAttempts: 1,
  };
}

export function ssmService(operations: Record<string, Operation>): Service {
  return { id: 'ssm', protocol: 'json', targetPrefix: 'AmazonSSM', operations };
}

/** A clock that a test moves by hand. */
export class HandClock implements LabClock {
  #now = Date.parse('2026-11-22T15:30:00.250Z');
  now = () => this.#now;
  after(): () => void {
    throw new Error('nothing waits in these tests');
  }
  advance(seconds: number): void {
    this.#now += seconds * 1000;
  }
}

/** The error that a call ends with; a call that succeeds fails the test. */
export async function failureOf(call: Promise<unknown>): Promise<Error & { [key: string]: unknown }> {
  const answer = await call.then(
    (output) => ({ output }),
    (error: unknown) => ({ error }),
  );
  if ('output' in answer) throw new Error(`The call succeeded: ${JSON.stringify(answer.output)}`);
  return answer.error as Error & { [key: string]: unknown };
}
