import { expect, test } from '@jest/globals';
import type { BuiltRelease } from '../../src/deploy/build.js';
import { commit } from '../../src/deploy/commit.js';
import type { DeployOptions } from '../../src/deploy/options.js';
import type { World } from '../../src/deploy/world.js';
import type { HostOutcome } from '../../src/host/hosts.js';
import { problem } from '../../src/problem.js';

const fleet = [{ id: 'i-0123456789abcdef0', zone: '', architecture: '', healthy: true, targets: [] }];
const options = { app: 'shop', environment: 'production' } as DeployOptions;
const release = { id: '20261122-153000-3f2c1ab', bundle: 'registry/shop@sha256:0' } as BuiltRelease;

function worldWhere(answer: () => Promise<HostOutcome[]>): World {
  return { hosts: { commit: answer } } as unknown as World;
}

test('credentials that end after the proof leave a warning: the release serves, so it is not called rejected', async () => {
  const expired = worldWhere(() => Promise.reject(problem('AWS_CREDENTIALS', 'The session is over.')));
  expect(await commit(options, fleet, release, expired)).toEqual(['AWS_CREDENTIALS: The session is over.']);
});

test('a host that was busy for a moment is asked again, and nothing is left to warn of', async () => {
  const instance = 'i-0123456789abcdef0';
  const result = { instance, status: 'Success', details: 'Success', exitCode: 0, stdout: '', stderr: '' };
  const answers = [[{ code: 'HOST_BUSY', message: 'Busy.', where: instance }], []];
  const once = worldWhere(() => Promise.resolve([{ instance, problems: answers.shift() ?? [], result }]));
  expect(await commit(options, fleet, release, once)).toEqual([]);
});

test('a host that fails to clean up is named', async () => {
  const instance = 'i-0123456789abcdef0';
  const result = { instance, status: 'Failed', details: 'Failed', exitCode: 1, stdout: '', stderr: '' };
  const failed = { instance, problems: [{ code: 'HOST_BUSY', message: 'Busy.', where: instance }], result };
  const busy = worldWhere(() => Promise.resolve([failed]));
  expect(await commit(options, fleet, release, busy)).toEqual(['HOST_BUSY: i-0123456789abcdef0 Busy.']);
});

test('a fault of our own is still an error', async () => {
  const broken = worldWhere(() => Promise.reject(new TypeError('undefined is not a function')));
  await expect(commit(options, fleet, release, broken)).rejects.toThrow(TypeError);
});
