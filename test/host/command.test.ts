import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { renderHostScripts } from '../../scripts/generate-host-scripts.js';
import type { ReleaseService } from '../../src/compose/model.js';
import { hostCommand, scriptLimit, sharedResources } from '../../src/host/command.js';
import type { PrepareArguments, Verb, VerbArguments } from '../../src/host/verbs.js';
import { ProblemsError } from '../../src/problem.js';

const shop = { app: 'shop', environment: 'production', project: 'shop' };
const digest = (seed: number) => `sha256:${((seed * 2_654_435_761) % 2 ** 32).toString(16).padStart(8, '0').repeat(8)}`;

function service(name: string, seed: number): ReleaseService {
  const image = `123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop@${digest(seed)}`;
  const definition = digest(seed + 1000);
  return { name, role: 'rolled', exclusive: false, image, definition, stateful: false, recreate: false };
}

function prepareArguments(changes: Partial<PrepareArguments> = {}): PrepareArguments {
  return {
    ...shop,
    release: '20261122-153000-3f2c1ab',
    commit: '3f2c1ab',
    slot: { name: 'blue', ports: { api: 9080 } },
    bundle: `123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop@${digest(9)}`,
    registry: { host: '123456789012.dkr.ecr.eu-central-1.amazonaws.com', region: 'eu-central-1' },
    services: [service('api', 1), service('worker', 2)],
    resources: [],
    envFiles: [],
    requiredVariables: [],
    minimumFreeMegabytes: 1000,
    ...changes,
  };
}

const slot = { ...shop, release: 'r1', slot: 'blue' } as const;
const examples: { readonly [V in Verb]: VerbArguments[V] } = {
  preflight: shop,
  prepare: prepareArguments(),
  swap: slot,
  verify: { ...slot, images: { api: `shop@${digest(1)}` }, web: ['api'] },
  commit: { ...shop, release: 'r1', repositories: ['shop'] },
  revert: { ...shop, to: undefined, slot: 'blue' },
  status: shop,
};
const verbs = Object.keys(examples) as Verb[];
const textOf = (verb: Verb) => hostCommand(verb, examples[verb]);

/** What the script will find in its arguments. */
function decoded(script: string): { [name: string]: string } {
  const word = /^readonly arguments='([A-Za-z0-9+/=]+)'$/m.exec(script)?.[1] ?? '';
  const records = gunzipSync(Buffer.from(word, 'base64')).toString().split('\x1e').filter(Boolean);
  return Object.fromEntries(records.map((record) => record.split('\x1f') as [string, string]));
}

function codeOf(work: () => unknown): string | undefined {
  try {
    work();
  } catch (error) {
    if (error instanceof ProblemsError) return error.problems[0]?.code;
    throw error;
  }
  return undefined;
}

describe('the text of a command', () => {
  test.each(verbs)('%s begins with its shebang, is small enough, and is the same each time', (verb) => {
    const script = textOf(verb);
    expect(script.startsWith('#!/bin/bash\n')).toBe(true);
    expect(Buffer.byteLength(script)).toBeLessThan(scriptLimit);
    expect(textOf(verb)).toBe(script);
    expect(script).not.toContain('{{ssm');
  });

  test('carries arguments as data, whatever they hold', () => {
    const nasty = `'; rm -rf / #$(reboot)\`reboot\` "é" \\`;
    const script = hostCommand('prepare', prepareArguments({ commit: nasty }));
    expect(script).not.toContain('rm -rf / #');
    expect(decoded(script)).toMatchObject({ commit: nasty, ports: 'api|9080', verb: 'prepare', app: 'shop' });
    expect(decoded(script).services?.split('\n')[0]).toBe(
      `api|rolled|${service('api', 1).image}|${digest(1001)}|false|false|false|true`,
    );
  });

  test.each([
    ['an app that climbs', { app: '../etc' }],
    ['an environment with a slash', { environment: 'a/b' }],
    ['a release with a space', { release: 'r 1' }],
    ['an env file with a line break', { envFiles: ['a\nb'] }],
    ['an image with a column separator', { services: [{ ...service('api', 1), image: 'a|b' }] }],
    ['a control character', { commit: 'a\x1fb' }],
  ])('is refused for %s', (_name, changes) => {
    expect(codeOf(() => hostCommand('prepare', prepareArguments(changes)))).toBe('INPUT_INVALID');
  });

  test('is refused when it would not fit', () => {
    const services = Array.from({ length: 300 }, (_, index) => service(`service-${index}`, index));
    expect(codeOf(() => hostCommand('prepare', prepareArguments({ services })))).toBe('SCRIPT_TOO_LARGE');
  });
});

describe('the shell files', () => {
  test('are what the generated module holds', () => {
    const generated = readFileSync(new URL('../../src/host/scripts.generated.ts', import.meta.url), 'utf8');
    expect(renderHostScripts()).toBe(generated);
  });

  test('are all used', () => {
    const folder = new URL('../../src/host/scripts/', import.meta.url);
    const all = verbs.map(textOf).join('\n');
    for (const file of readdirSync(folder)) {
      const last = readFileSync(new URL(file, folder), 'utf8').trimEnd().split('\n').at(-1)?.trim() ?? '';
      expect(all).toContain(last);
    }
  });

  test.each(verbs)('%s is a script that bash reads', (verb) => {
    expect(spawnSync('bash', ['-n'], { input: textOf(verb), encoding: 'utf8' })).toMatchObject({
      status: 0,
      stderr: '',
    });
  });
});

test('the networks and volumes that the slots find outside are those that compose makes for the shared project', () => {
  const shared = {
    services: {},
    networks: { default: { name: 'shop_default' }, back: null, company: { external: true } },
    volumes: { data: {}, legacy: { external: true, name: 'old' } },
  };
  expect(sharedResources('shop', shared)).toEqual([
    { kind: 'network', key: 'default', name: 'shop_default' },
    { kind: 'network', key: 'back', name: 'shop_back' },
    { kind: 'volume', key: 'data', name: 'shop_data' },
  ]);
});
