import { describe, expect, test } from '@jest/globals';
import { actionNames, readMetadata } from '../../scripts/metadata.js';
import { buildPushInputs } from '../../src/actions/build-push.js';
import { deployInputs, rolloutInputs } from '../../src/actions/deploy-inputs.js';

const loaders: { readonly [name: string]: object } = {
  deploy: deployInputs,
  rollout: rolloutInputs,
  'build-push': buildPushInputs,
};

describe.each(Object.keys(loaders))('%s', (name) => {
  test('reads the inputs that its action.yml declares', () => {
    expect(Object.keys(readMetadata(name).inputs).sort()).toEqual(Object.keys(loaders[name] ?? {}).sort());
  });
});

describe.each(actionNames())('action.yml of %s', (name) => {
  const { description, inputs, outputs, runs } = readMetadata(name);

  test('runs on the current Node of GitHub', () => {
    expect(runs.using).toBe('node24');
  });

  test('describes everything, in sentences', () => {
    const texts = [description, ...Object.values({ ...inputs, ...outputs }).map((it) => it.description)];
    for (const text of texts) expect(text).toMatch(/\.$/);
  });
});
