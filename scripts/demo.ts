/**
 * `npm run demo`: the whole pipeline on this machine. Version 1 is deployed to two hosts, version 2 rolls over it under
 * load, version 3 answers 500 on its health path and is put back. Exit status 0 means that each ended as it should.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { type Lab, startLab } from '../lab/lab.js';
import { type LoadResult, startLoad } from '../lab/load.js';
import { createStack, type Stack } from '../lab/stack.js';
import { jobLog } from './console.js';
import { root } from './metadata.js';
import { type ActionRun, runAction } from './runner.js';

const HOSTS = 2;
const REQUESTS_PER_SECOND = 50;
/** Version 3 never becomes healthy: the target group's numbers would give it two minutes to show that. */
const SHORT_HEALTH_TIMEOUT = '15s';
/** Open requests of the example take milliseconds; AWS's default of 300 s is for those that take minutes. */
const DEREGISTRATION_DELAY_SECONDS = 2;

interface Chapter {
  readonly title: string;
  readonly buildArgs: string;
  /** Empty: computed from the target group. */
  readonly healthTimeout: string;
  readonly expected: { readonly outcome: string; readonly version: string };
  readonly underLoad: boolean;
}

const chapters: readonly Chapter[] = [
  {
    title: 'version 1, the first deploy',
    buildArgs: 'APP_VERSION=1',
    healthTimeout: '',
    expected: { outcome: 'succeeded', version: '1' },
    underLoad: false,
  },
  {
    title: 'version 2 rolls over it',
    buildArgs: 'APP_VERSION=2',
    healthTimeout: '',
    expected: { outcome: 'succeeded', version: '2' },
    underLoad: true,
  },
  {
    title: 'version 3 answers 500 on its health path',
    buildArgs: 'APP_VERSION=3\nBREAK=health',
    healthTimeout: SHORT_HEALTH_TIMEOUT,
    expected: { outcome: 'rolled-back', version: '2' },
    underLoad: true,
  },
];

interface Told {
  readonly chapter: Chapter;
  readonly run: ActionRun;
  readonly seconds: number;
  readonly versions: readonly string[];
  readonly load: LoadResult | undefined;
}

const started = Date.now();
const out = join(root, 'out', 'demo');
const workspace = mkdtempSync(join(tmpdir(), 'demo-'));
const ending = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => ending.abort(new Error('The demo was interrupted.')));

let lab: Lab | undefined;
try {
  prepareWorkspace();
  lab = await startLab({ hosts: HOSTS, say: (line) => console.log(`lab  ${line}`), signal: ending.signal });
  const stack = await createStack(lab, { deregistrationDelaySeconds: DEREGISTRATION_DELAY_SECONDS });
  console.log(`lab  ${HOSTS} hosts behind ${stack.url}, ready after ${elapsed(started)} s`);
  const told: Told[] = [];
  for (const chapter of chapters) told.push(await tell(lab, stack, chapter));
  summarise(told);
  process.exitCode = told.every(asExpected) ? 0 : 1;
} catch (error) {
  console.error(`The demo failed: ${(error as Error).message}`);
  process.exitCode = 1;
} finally {
  await lab?.stop();
  rmSync(workspace, { recursive: true, force: true });
}

/** The example as a checkout of its own, with the one setting that production needs. */
function prepareWorkspace(): void {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const leaveOut = /(^|\/)(node_modules|dist)$/;
  cpSync(join(root, 'examples', 'nest-app'), workspace, { recursive: true, filter: (path) => !leaveOut.test(path) });
  writeFileSync(join(workspace, '.env'), 'POSTGRES_PASSWORD=only-in-the-lab\n');
}

async function tell(lab: Lab, stack: Stack, chapter: Chapter): Promise<Told> {
  ending.signal.throwIfAborted();
  console.log(`\n=== ${chapter.title}`);
  const load = chapter.underLoad
    ? startLoad({ url: stack.url, path: '/version', requestsPerSecond: REQUESTS_PER_SECOND, keepAlive: true })
    : undefined;
  const begin = Date.now();
  const run = await runAction('deploy', inputsFor(stack, chapter), {
    directory: workspace,
    workspace,
    env: lab.env,
    signal: ending.signal,
    onOutput: jobLog((text) => process.stdout.write(text)),
  });
  const seconds = elapsed(begin);
  const result = await load?.stop();
  keep(chapter, run);
  return { chapter, run, seconds, versions: await versionsOn(lab), load: result };
}

function inputsFor(stack: Stack, { buildArgs, healthTimeout }: Chapter): { [name: string]: string } {
  return {
    app: 'shop',
    'target-group': `${stack.name}-web`,
    'ecr-repository': stack.name,
    'compose-file': 'compose.production.yaml',
    'build-args': buildArgs,
    'health-timeout': healthTimeout,
  };
}

/** Asked past the load balancer: what each host really runs. */
async function versionsOn(lab: Lab): Promise<string[]> {
  return Promise.all(
    lab.hosts.map(async ({ address }) => {
      const answer = await fetch(`http://${address}:8080/version`).catch(() => undefined);
      return ((await answer?.json()) as { version?: string } | undefined)?.version ?? 'none';
    }),
  );
}

function keep(chapter: Chapter, run: ActionRun): void {
  const name = `v${chapters.indexOf(chapter) + 1}`;
  writeFileSync(join(out, `${name}.log`), run.log);
  writeFileSync(join(out, `${name}-summary.md`), run.summary);
  if (run.outputs.report) cpSync(run.outputs.report, join(out, `${name}-report.json`));
}

function asExpected({ chapter: { expected }, run, versions }: Told): boolean {
  return run.outputs.outcome === expected.outcome && versions.every((version) => version === expected.version);
}

function summarise(told: readonly Told[]): void {
  console.log(`\n=== what happened (${elapsed(started)} s in all)`);
  for (const story of told) {
    const { chapter, run, seconds, versions, load } = story;
    console.log(
      `${asExpected(story) ? 'ok     ' : 'NOT OK '} ${chapter.title}: ${run.outputs.outcome ?? 'no outcome'}, exit status ${run.code}, ${seconds} s`,
    );
    console.log(`        both hosts asked afterwards: version ${versions.join(' and ')}`);
    if (load)
      console.log(
        `        load meanwhile: ${load.requests} requests at ${REQUESTS_PER_SECOND}/s, ${load.lost} lost, longest gap ${load.longestGap} ms ${describe(load)}`,
      );
  }
  console.log(`\nLogs, job summaries and reports: ${relative(process.cwd(), out) || '.'}/`);
}

function describe({ failures }: LoadResult): string {
  const words = Object.entries(failures).map(([what, count]) => `${count} × ${what}`);
  return words.length > 0 ? `(${words.join(', ')})` : '';
}

function elapsed(since: number): number {
  return Math.round((Date.now() - since) / 1000);
}
