import { describe, expect, test } from '@jest/globals';
import { parseDocument } from 'yaml';
import { actionNames, readMetadata } from '../../scripts/metadata.js';
import { pages, snippets } from './pages.js';

interface Step {
  readonly uses: string;
  readonly with?: { readonly [input: string]: unknown };
}

/** Every step that uses an action, wherever it is in the document. */
function stepsIn(value: unknown): Step[] {
  if (Array.isArray(value)) return value.flatMap(stepsIn);
  if (typeof value !== 'object' || value === null) return [];
  const own = typeof (value as Step).uses === 'string' ? [value as Step] : [];
  return [...own, ...Object.values(value).flatMap(stepsIn)];
}

/** `OWNER/ec2-compose-deploy/actions/rollout@v1` is rollout; undefined for the actions of others. */
function actionOf(uses: string): string | undefined {
  const [, path] = /^OWNER\/ec2-compose-deploy(\/[^@]*)?@v1$/.exec(uses) ?? ['', undefined];
  if (!uses.startsWith('OWNER/')) return undefined;
  return path === undefined ? 'deploy' : path.replace(/^\/actions\//, '');
}

function faults({ uses, with: given = {} }: Step): string[] {
  const action = actionOf(uses);
  if (action === undefined) return [];
  if (!actionNames().includes(action)) return [`${uses} is not an action of this repository`];
  const { inputs } = readMetadata(action);
  const unknown = Object.keys(given).filter((name) => !(name in inputs));
  const missing = Object.entries(inputs).filter(([name, { required }]) => required && !(name in given));
  return [
    ...unknown.map((name) => `${action} has no input ${name}`),
    ...missing.map(([name]) => `${action} needs ${name}`),
  ];
}

const written = pages().flatMap(({ path, text }) => snippets(text, 'yaml').map((yaml) => ({ path, yaml })));

test('the pages show how our actions are used', () => {
  const shown = written.flatMap(({ yaml }) => stepsIn(parseDocument(yaml).toJS())).map(({ uses }) => actionOf(uses));
  expect(actionNames().filter((name) => !shown.includes(name))).toEqual([]);
});

describe.each(written.map(({ path, yaml }, index) => [`${index + 1}, in ${path}`, yaml] as const))(
  'YAML snippet %s',
  (_title, yaml) => {
    test('is YAML, and gives our actions only inputs that they have', () => {
      const document = parseDocument(yaml);
      expect(document.errors).toEqual([]);
      expect(stepsIn(document.toJS()).flatMap(faults)).toEqual([]);
    });
  },
);

test('an input that does not exist, or a required one left out, would be found', () => {
  const step = { uses: 'OWNER/ec2-compose-deploy@v1', with: { app: 'shop', stratgy: 'auto' } };
  expect(faults(step)).toEqual(['deploy has no input stratgy', 'deploy needs target-group']);
  expect(faults({ uses: 'OWNER/ec2-compose-deploy/actions/fly@v1' })).toEqual([
    'OWNER/ec2-compose-deploy/actions/fly@v1 is not an action of this repository',
  ]);
});
