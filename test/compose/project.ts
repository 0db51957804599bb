import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { collectFiles } from '../../src/compose/collect.js';
import { type CompileOptions, compile, projectName } from '../../src/compose/compile.js';
import type { CompiledRelease, ComposeModel } from '../../src/compose/model.js';
import { type ParsedCompose, type ParseOptions, parseCompose } from '../../src/compose/parse.js';
import { dockerCli } from '../../src/image/docker.js';
import { ProblemsError } from '../../src/problem.js';

/** A repository of a user: file contents by path, compose.yaml among them. */
export type Repository = { readonly [path: string]: string };

const made: string[] = [];

export function checkout(files: Repository): string {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'repository-')));
  made.push(directory);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  return directory;
}

export function removeCheckouts(): void {
  for (const directory of made.splice(0)) rmSync(directory, { recursive: true, force: true });
}

export const DIGEST = `sha256:${'a'.repeat(64)}`;
export const REPOSITORY = '123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop';

export interface Given extends Partial<Omit<CompileOptions, 'parsed' | 'facts'>> {
  readonly parse?: Partial<ParseOptions>;
}

export async function parsed(
  directory: string,
  { app = 'shop', environment = 'production', parse = {} }: Given = {},
): Promise<ParsedCompose> {
  return parseCompose({
    projectDirectory: directory,
    project: projectName(app, environment),
    docker: dockerCli(),
    ...parse,
  });
}

/** The release that a repository compiles to, its built services at one digest. */
export async function release(files: Repository | string, given: Given = {}): Promise<CompiledRelease> {
  const composed = await parsed(typeof files === 'string' ? files : checkout(files), given);
  const builds = Object.keys(composed.model.services).filter(
    (name) => composed.model.services[name]?.build !== undefined,
  );
  const images = Object.fromEntries(builds.map((name) => [name, `${REPOSITORY}@${DIGEST}`]));
  const { parse: _, ...options } = given;
  return compile({
    app: 'shop',
    environment: 'production',
    images,
    ...options,
    parsed: composed,
    facts: await collectFiles(composed),
  });
}

/** The problems of a repository that is refused, as `CODE compose.yaml:LINE`. */
export async function refusals(files: Repository | string, given: Given = {}): Promise<readonly string[]> {
  return (await problems(files, given)).map(({ code, where }) => `${code} ${where}`);
}

export async function problems(files: Repository | string, given: Given = {}) {
  try {
    await release(files, given);
  } catch (error) {
    if (error instanceof ProblemsError) return error.problems;
    throw error;
  }
  throw new Error('The repository was not refused.');
}

/** What compose on a host makes of a model: its services, after its own validation. */
export async function acceptedByCompose(
  model: ComposeModel | undefined,
  directory: string,
  env: { readonly [name: string]: string } = {},
) {
  const values = {
    DEPLOY_RELEASE: '20261122-153000-3f2c1ab',
    DEPLOY_COMMIT: '3f2c1ab',
    DEPLOY_ENVIRONMENT: 'production',
    ...env,
  };
  const { code, stdout, stderr } = await dockerCli().run(
    ['compose', '-p', String(model?.name), '--project-directory', directory, '-f', '-', 'config', '--format', 'json'],
    { input: JSON.stringify(model), env: values },
  );
  if (code !== 0) throw new Error(stderr);
  // biome-ignore lint/suspicious/noExplicitAny: the canonical model of compose, read by tests only
  return JSON.parse(stdout) as { services: { [name: string]: any }; networks: any; volumes: any };
}
