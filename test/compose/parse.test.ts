// biome-ignore-all lint/suspicious/noTemplateCurlyInString: compose's own ${…}, not JavaScript's
import { afterAll, describe, expect, test } from '@jest/globals';
import { ProblemsError } from '../../src/problem.js';
import { checkout, type Given, parsed, type Repository, refusals, release, removeCheckouts } from './project.js';

afterAll(removeCheckouts);

async function complaint(files: Repository, given: Given = {}) {
  const error = await parsed(checkout(files), given).catch((reason: unknown) => reason);
  if (!(error instanceof ProblemsError)) throw error;
  return error.problems[0];
}

const API = 'services:\n  api: {build: ., ports: ["80:80"], restart: always}\n';

describe('finding the compose file', () => {
  test("by compose's own search order", async () => {
    const { model } = await parsed(checkout({ 'docker-compose.yml': API, 'compose.yml': API.replace('api', 'newer') }));
    expect(Object.keys(model.services)).toEqual(['newer']);
  });

  test('none is there', async () => {
    expect(await complaint({})).toMatchObject({ code: 'COMPOSE_FILE_NOT_FOUND' });
    expect(await complaint({}, { parse: { files: ['prod.yaml'] } })).toMatchObject({
      code: 'COMPOSE_FILE_NOT_FOUND',
      message: 'The compose file prod.yaml does not exist.',
    });
  });

  test('an override for development is left out, and said to be', async () => {
    const { model, warnings } = await parsed(
      checkout({ 'compose.yaml': API, 'compose.override.yaml': 'services: {api: {command: debug}}' }),
    );
    expect(model.services.api).not.toHaveProperty('command');
    expect(warnings).toEqual([expect.stringContaining('compose.override.yaml is not used')]);
  });

  test("an invalid file is refused in compose's own words", async () => {
    const found = await complaint({ 'compose.yaml': 'services:\n  api:\n    image: x\n    porst: ["80:80"]\n' });
    expect(found).toMatchObject({ code: 'COMPOSE_INVALID', where: 'compose.yaml' });
    expect(found?.message).toContain('porst');
    expect(found?.message).not.toContain('/repository-');
  });

  test('an env file that is not there', async () => {
    expect(await complaint({ 'compose.yaml': API }, { parse: { envFiles: ['prod.env'] } })).toMatchObject({
      code: 'ENV_FILE_NOT_FOUND',
    });
  });
});

describe('what compose merges', () => {
  test('overlays, with the lines of the file that says it', async () => {
    const files = {
      'compose.yaml': API,
      'compose.prod.yaml': 'services:\n  api:\n    environment: {MODE: production}\n    container_name: api\n',
    };
    const given = { parse: { files: ['compose.yaml', 'compose.prod.yaml'] } };
    expect(await refusals(files, given)).toEqual(['CONTAINER_NAME_ROLLED compose.prod.yaml:4']);
  });

  test('anchors and merge keys, with the line of the anchor', async () => {
    const files = {
      'compose.yaml': `x-base: &base
  restart: always
  container_name: same
services:
  api:
    <<: *base
    build: .
    ports: ["80:80"]
`,
    };
    expect(await refusals(files)).toEqual(['CONTAINER_NAME_ROLLED compose.yaml:3']);
  });

  test('extends and include, with paths from where they are written', async () => {
    const files = {
      'common/base.yaml': 'services:\n  base: {build: ., restart: always, volumes: ["./app.conf:/app.conf:ro"]}\n',
      'common/app.conf': 'a',
      'data/compose.yaml': 'services:\n  db:\n    image: postgres\n    volumes:\n      - ./init.sql:/init.sql:ro\n',
      'data/init.sql': 'b',
      'compose.yaml':
        'include: [data/compose.yaml]\nservices:\n  api:\n    extends: {file: common/base.yaml, service: base}\n    ports: ["80:80"]\n',
    };
    const { files: carried, slots } = await release(files);
    expect(carried.map(({ path }) => path)).toEqual(['common/app.conf', 'data/init.sql']);
    expect(slots.blue?.services['api-blue']).toMatchObject({
      volumes: [{ source: 'common/app.conf', target: '/app.conf' }],
    });
    const { 'data/init.sql': _, ...missing } = files;
    expect(await refusals(missing)).toEqual(['MOUNT_NOT_FOUND data/compose.yaml:5']);
  });

  test('profiles: what is not active is left out, what is active is deployed', async () => {
    const files = {
      'compose.yaml': `${API}  mail: {image: mailhog, profiles: [dev]}\n  jobs: {image: jobs, profiles: [prod]}\n`,
    };
    const { shared, warnings } = await release({ ...files, '.env': 'COMPOSE_PROFILES=prod\n' });
    expect(Object.keys(shared.services)).toEqual(['jobs']);
    expect(shared.services.jobs).not.toHaveProperty('profiles');
    expect(warnings).toEqual([expect.stringContaining('mail is left out')]);
  });
});

describe('values', () => {
  test("env files are read by compose's own rules, later ones first, and nothing of the runner", async () => {
    process.env.FROM_RUNNER = 'leaked';
    const directory = checkout({
      'a.env': 'A=1\nQUOTED="x # y" # comment\nDOLLAR=\'a$b\'\nBOTH=a\n',
      'b.env': 'export BOTH=b\nREF=${A}/x\n',
      'compose.yaml':
        'services:\n  api:\n    image: x\n    environment: ["$A ${QUOTED} ${DOLLAR} ${BOTH} ${REF} ${FROM_RUNNER} ${EMPTY}"]\n',
    });
    const { values, envFiles } = await parsed(directory, { parse: { envFiles: ['a.env', './b.env'] } });
    delete process.env.FROM_RUNNER;
    expect(values).toEqual({
      A: '1',
      QUOTED: 'x # y',
      DOLLAR: 'a$b',
      BOTH: 'b',
      REF: '1/x',
      COMPOSE_PROJECT_NAME: 'shop',
    });
    expect(envFiles).toEqual(['a.env', 'b.env']);
  });
});
