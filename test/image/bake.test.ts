// biome-ignore-all lint/suspicious/noTemplateCurlyInString: compose's own ${…}, not JavaScript's
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from '@jest/globals';
import { servicesToBuild } from '../../src/compose/compile.js';
import { type BakeOptions, bake } from '../../src/image/bake.js';
import { type DockerCli, type DockerRun, dockerCli } from '../../src/image/docker.js';
import type { Log } from '../../src/log.js';
import { ProblemsError } from '../../src/problem.js';
import { checkout, parsed, type Repository, removeCheckouts } from '../compose/project.js';

afterAll(removeCheckouts);

const URI = '123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop';
const DIGEST = `sha256:${'d'.repeat(64)}`;

/** Docker with a builder that only writes down what it was asked to bake; compose and `bake --print` are real. */
class Builder implements DockerCli {
  driver = 'docker';
  failure: readonly string[] | undefined;
  asked: { definition: string; args: readonly string[]; env: DockerRun['env'] } | undefined;
  private readonly real = dockerCli();

  async run(args: readonly string[], options: DockerRun = {}) {
    if (args[0] !== 'buildx') return this.real.run(args, options);
    if (args[1] === 'inspect') return { code: 0, stdout: `Name: default\nDriver: ${this.driver}\n`, stderr: '' };
    this.asked = { definition: readFileSync(after(args, '-f'), 'utf8'), args, env: options.env };
    for (const line of this.failure ?? []) options.onLine?.(line);
    if (this.failure) return { code: 1, stdout: '', stderr: '' };
    writeFileSync(after(args, '--metadata-file'), JSON.stringify(this.metadata()));
    return { code: 0, stdout: '', stderr: '' };
  }

  private metadata() {
    const { target } = JSON.parse(this.asked?.definition ?? '') as { target: { [name: string]: { tags?: string[] } } };
    return Object.fromEntries(
      Object.entries(target).map(([name, { tags }]) => [
        name,
        { 'containerimage.digest': DIGEST, 'image.name': tags?.[0] },
      ]),
    );
  }
}

function after(args: readonly string[], flag: string): string {
  return args[args.indexOf(flag) + 1] ?? '';
}

async function baked(files: Repository, given: Partial<BakeOptions> & { builder?: Builder } = {}) {
  const builder = given.builder ?? new Builder();
  const directory = checkout(files);
  const composed = await parsed(directory);
  const lines: string[] = [];
  const log: Log = { info: (line) => lines.push(line), warning: () => {}, debug: () => {}, group: (_, work) => work() };
  const images = await bake({
    parsed: composed,
    repository: { uri: URI },
    tag: 'release-1',
    services: servicesToBuild(composed),
    docker: builder,
    log,
    environment: {},
    ...given,
  });
  const text = (builder.asked?.definition ?? '').replaceAll(directory, '/repo');
  const { target, group } = JSON.parse(text) as { target: { [name: string]: unknown }; group: unknown };
  return { images, target, group, lines, asked: builder.asked, text };
}

const API = (build: string) => ({ 'compose.yaml': `services:\n  api:\n    ports: ["80:80"]\n    build: ${build}\n` });

describe('one service', () => {
  test('is built from its context, pushed under the tag and named by the digest of the registry', async () => {
    const { images, target, asked } = await baked(API('./api'));
    expect(target).toEqual({
      api: { context: '/repo/api', 'cache-from': [], 'cache-to': [], tags: [`${URI}:release-1`] },
    });
    expect(images).toEqual({ api: { ref: `${URI}@${DIGEST}`, digest: DIGEST, tag: 'release-1' } });
    expect(asked?.args).toEqual(expect.arrayContaining(['bake', '--push', '--progress', 'plain']));
  });

  test("arguments take their values from the job's environment, the env file and the inputs, in compose's order", async () => {
    const { target } = await baked(
      {
        ...API(
          '{context: ., args: {VERSION: "${VERSION:-dev}", FILE: "${FILE}", PASSED: , GONE: , COST: "5$$", MODE: dev}}',
        ),
        '.env': 'FILE=from-file\nVERSION=file\n',
      },
      { environment: { VERSION: '1.2', PASSED: 'x${y}' }, buildArgs: { MODE: 'production' } },
    );
    expect(target.api).toMatchObject({
      args: { VERSION: '1.2', FILE: 'from-file', PASSED: 'x$${y}', COST: '5$', MODE: 'production' },
    });
  });

  test('buildx reads the definition back as it was meant', async () => {
    const { text } = await baked(
      API(
        '{context: "https://example.com/a.git", args: {A: "$${HOME} %{if} $$X 100%"}, secrets: [{source: npm, target: token}], ulimits: {nofile: {soft: 1, hard: 2}}}\nsecrets: {npm: {environment: NPM_TOKEN}}\nx-end: {a: b}',
      ),
    );
    const directory = checkout({ 'bake.json': text });
    const print = ['buildx', 'bake', '-f', `${directory}/bake.json`, '--print', 'api'];
    const { stdout, stderr } = await dockerCli().run(print, { cwd: directory });
    if (stdout === '') throw new Error(stderr);
    // Newer versions print their definition escaped again.
    const printed = JSON.parse(stdout.replaceAll('$${', () => '${').replaceAll('%%{', '%{')) as {
      target: { api: unknown };
    };
    expect(printed.target.api).toMatchObject({
      context: 'https://example.com/a.git',
      args: { A: '${HOME} %{if} $X 100%' },
    });
    expect(text).toContain('id=token,env=NPM_TOKEN');
  });

  test('a secret reaches the builder by its environment only', async () => {
    const { target, asked, text, lines } = await baked(API('.'), { buildSecrets: { npm: 'pa$$word' } });
    expect(target.api).toMatchObject({ secret: ['id=npm,env=BUILD_SECRET_0'] });
    expect(asked?.env).toMatchObject({ BUILD_SECRET_0: 'pa$$word' });
    expect(`${text} ${asked?.args.join(' ')} ${lines.join(' ')}`).not.toContain('pa$$word');
  });
});

describe('several services', () => {
  test('have a tag each; equal builds are built once', async () => {
    const { images, target } = await baked({
      'compose.yaml': `services:
  api.v1: {build: ./api, ports: ["80:80"]}
  worker: {build: {context: ./api}}
  admin: {build: {context: ./admin, additional_contexts: {base: "service:api.v1", lib: ./lib}}}
`,
    });
    expect(Object.keys(target).sort()).toEqual(['admin', 'api_v1']);
    expect(target.admin).toMatchObject({
      contexts: { base: 'target:api_v1', lib: '/repo/lib' },
      tags: [`${URI}:admin-release-1`],
    });
    expect(images.worker).toEqual({ ref: `${URI}@${DIGEST}`, digest: DIGEST, tag: 'api.v1-release-1' });
  });
});

describe('the cache', () => {
  const decided = async (
    driver: string,
    environment: BakeOptions['environment'] = {},
    given: Partial<BakeOptions> = {},
  ) => {
    const builder = new Builder();
    builder.driver = driver;
    const { target, lines } = await baked(API('.'), { builder, environment, ...given });
    return { to: (target.api as { 'cache-to': string[] })['cache-to'], line: lines[0] };
  };

  test('none with the docker driver, and the log says why', async () => {
    const { to, line } = await decided('docker');
    expect(to).toEqual([]);
    expect(line).toMatch(/^Build cache: only this machine's own/);
  });

  test("GitHub's where its service is there, the repository otherwise", async () => {
    const actions = { ACTIONS_RUNTIME_TOKEN: 't', ACTIONS_RESULTS_URL: 'https://results' };
    expect((await decided('docker-container', actions)).to[0]).toMatch(/^type=gha,scope=api/);
    expect((await decided('docker-container')).to[0]).toContain(`type=registry,ref=${URI}:cache-api,`);
    expect((await decided('docker-container', actions, { cache: 'none' })).to).toEqual([]);
  });
});

describe('a build that can not be', () => {
  const problemsOf = async (files: Repository, given: Partial<BakeOptions> & { builder?: Builder } = {}) => {
    const error = await baked(files, given).catch((reason: unknown) => reason);
    if (error instanceof ProblemsError) return error.problems;
    throw error;
  };

  test('fails with the last lines of its output', async () => {
    const builder = new Builder();
    builder.failure = [
      '#1 DONE',
      '#7 [api 3/3] RUN npm run build',
      '#7 ERROR: process "npm run build" did not complete',
      '',
    ];
    const [found] = await problemsOf(API('.'), { builder });
    expect(found).toMatchObject({
      code: 'BUILD_FAILED',
      message: 'The image could not be built or pushed. #7 ERROR: process "npm run build" did not complete',
    });
    expect(found?.cause?.split('\n')).toHaveLength(3);
  });

  test('names the variable that it needs, and the key that bake does not know', async () => {
    const found = await problemsOf(API('{context: ., args: {T: "${NPM_TOKEN:?ask the team}"}, privileged: true}'));
    expect(found).toMatchObject([
      { code: 'VARIABLE_REQUIRED', where: 'compose.yaml:4', message: 'The build of api needs NPM_TOKEN. ask the team' },
      { code: 'BUILD_KEY_UNSUPPORTED', message: "build.privileged of api can't be passed to buildx bake." },
    ]);
  });
});
