import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { LAB_TEST_MILLISECONDS, startTestLab, type TestLab, writeWorkspace } from './harness.js';

const COMPOSE = `services:
  web:
    build: .
    init: true
    restart: unless-stopped
    ports: ["8080:3000"]
  worker:
    build: .
    init: true
    restart: unless-stopped
    command: [node, -e, "setInterval(() => {}, 1000)"]
`;

describe('a worker beside the service that the load balancer talks to', () => {
  let on: TestLab;
  beforeAll(async () => {
    on = await startTestLab({ hosts: 1 });
    writeWorkspace(on, 'compose.yaml', COMPOSE);
  }, LAB_TEST_MILLISECONDS);
  afterAll(() => on?.end(), LAB_TEST_MILLISECONDS);

  const workers = async (): Promise<string> => {
    const [host] = on.lab.hosts;
    const label = 'label=ec2-compose-deploy.service=worker';
    return host ? (await on.lab.exec(host, ['docker', 'ps', '-q', '--filter', label])).trim() : '';
  };

  test(
    'is missed when somebody removed it, though the load balancer is content: the same version is put up again',
    async () => {
      expect((await on.deploy()).outcome).toBe('succeeded');
      expect((await on.deploy()).outcome).toBe('unchanged');
      const [host] = on.lab.hosts;
      if (host) await on.lab.exec(host, ['docker', 'rm', '-f', await workers()]);
      expect((await on.deploy()).outcome).toBe('succeeded');
      expect(await workers()).not.toBe('');
      expect((await on.deploy()).outcome).toBe('unchanged');
    },
    2 * LAB_TEST_MILLISECONDS,
  );
});
