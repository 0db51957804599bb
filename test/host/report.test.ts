import { describe, expect, test } from '@jest/globals';
import { type HostReport, readReport } from '../../src/host/report.js';

const whole: HostReport = {
  v: 1,
  verb: 'verify',
  ok: false,
  release: '20261122-153000-3f2c1ab',
  at: 1_795_369_639,
  problems: [{ code: 'CONTAINER_EXITED', message: 'api is exited.', cause: 'no "database"', where: 'api' }],
  current: '20261121-101500-aaaaaaa',
  containers: [
    {
      service: 'api',
      id: '0123456789ab',
      digest: `sha256:${'a'.repeat(64)}`,
      state: 'exited',
      health: '',
      startedAt: 1_795_369_600,
      restarts: 3,
      exitCode: 7,
    },
  ],
  pinned: [{ service: 'db', state: 'same' }],
  facts: { changed: true, swappedAt: 1_795_369_639, docker: '26.1.5' },
};
const line = `@@report ${JSON.stringify(whole)}`;

describe('the report of a host', () => {
  test('is read whole', () => {
    expect(readReport(`${line}\n`)).toEqual(whole);
  });

  test('is read from between other lines', () => {
    expect(readReport(`hello\n${line}\nStep exited with code 168.\n`)).toEqual(whole);
  });

  test('is the last one where there are two', () => {
    const later = { ...whole, ok: true };
    expect(readReport(`${line}\n@@report ${JSON.stringify(later)}`)?.ok).toBe(true);
  });

  test('is none when it was cut off, wherever', () => {
    for (let length = 0; length < line.length; length += 1) expect(readReport(line.slice(0, length))).toBeUndefined();
  });

  test('is none in the middle of a line, or without its mark', () => {
    expect(readReport(`echo ${line}`)).toBeUndefined();
    expect(readReport(JSON.stringify(whole))).toBeUndefined();
    expect(readReport('')).toBeUndefined();
  });

  test.each([
    ['another version', { v: 2 }],
    ['no list of containers', { containers: undefined }],
    ['a container without an id', { containers: [{ service: 'api' }] }],
    ['a problem that is a text', { problems: ['disk full'] }],
    ['a time that is no number', { at: 'now' }],
    ['an unknown state of a pinned service', { pinned: [{ service: 'db', state: 'gone' }] }],
    ['a fact that is an object', { facts: { disk: {} } }],
  ])('is none with %s', (_name, change) => {
    expect(readReport(`@@report ${JSON.stringify({ ...whole, ...change })}`)).toBeUndefined();
  });
});
