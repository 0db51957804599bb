import { existsSync, lstatSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import type { DockerCli, DockerRun } from '../../src/image/docker.js';
import { login } from '../../src/image/login.js';
import { checkout, removeCheckouts } from '../compose/project.js';

afterAll(removeCheckouts);

const REGISTRY = '123456789012.dkr.ecr.eu-west-1.amazonaws.com';

function recorder(code = 0) {
  const calls: { args: readonly string[]; options: DockerRun }[] = [];
  const docker: DockerCli = {
    run: async (args, options = {}) => {
      calls.push({ args, options });
      return { code, stdout: '', stderr: code === 0 ? '' : 'Error: denied for s3cret' };
    },
  };
  return { docker, calls };
}

/** A user who has logged in to another registry through a credential store. */
function userConfig(): string {
  const directory = checkout({
    'config.json': JSON.stringify({
      auths: { 'https://index.docker.io/v1/': {} },
      credsStore: 'pass',
      currentContext: 'remote',
    }),
  });
  for (const name of ['cli-plugins', 'buildx']) mkdirSync(join(directory, name));
  return directory;
}

test('the password goes in by standard input, into a configuration that is gone afterwards', async () => {
  const { docker, calls } = recorder();
  const own = userConfig();
  const before = readFileSync(join(own, 'config.json'), 'utf8');
  const session = await login({ registry: REGISTRY, password: 's3cret', docker, configDirectory: own });
  expect(calls[0]?.args).toEqual(['login', '--username', 'AWS', '--password-stdin', REGISTRY]);
  expect(calls[0]?.options.input).toBe('s3cret');
  const directory = String(calls[0]?.options.env?.DOCKER_CONFIG);
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  expect(lstatSync(join(directory, 'cli-plugins')).isSymbolicLink()).toBe(true);
  expect(existsSync(join(directory, 'contexts'))).toBe(false);
  expect(JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8'))).toEqual({
    auths: { 'https://index.docker.io/v1/': {} },
    credsStore: 'pass',
    currentContext: 'remote',
    credHelpers: { [REGISTRY]: '' },
  });
  await session.docker.run(['push'], { env: { OTHER: 'x' } });
  expect(calls[1]?.options.env).toEqual({ DOCKER_CONFIG: directory, OTHER: 'x' });
  await session.logout();
  expect(existsSync(directory)).toBe(false);
  expect(existsSync(join(own, 'cli-plugins'))).toBe(true);
  expect(readFileSync(join(own, 'config.json'), 'utf8')).toBe(before);
});

test('a refused login says so without the password, and leaves nothing behind', async () => {
  const { docker, calls } = recorder(1);
  const own = userConfig();
  writeFileSync(join(own, 'config.json'), '{}');
  await expect(login({ registry: REGISTRY, password: 's3cret', docker, configDirectory: own })).rejects.toMatchObject({
    problems: [{ code: 'REGISTRY_LOGIN_FAILED', cause: 'Error: denied for ***' }],
  });
  expect(existsSync(String(calls[0]?.options.env?.DOCKER_CONFIG))).toBe(false);
});
