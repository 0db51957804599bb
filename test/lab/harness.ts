import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Lab, startLab } from '../../lab/lab.js';
import { createStack, type Stack, type StackOptions } from '../../lab/stack.js';
import type { WireCall } from '../../lab/wire/server.js';
import { createWorld } from '../../src/actions/world.js';
import type { Clock } from '../../src/clock.js';
import { systemClock } from '../../src/clock.js';
import { deploy } from '../../src/deploy/deploy.js';
import type { DeployOptions } from '../../src/deploy/options.js';
import type { DeployResult } from '../../src/deploy/result.js';
import { dockerCli } from '../../src/image/docker.js';
import type { Log } from '../../src/log.js';

/** The load balancer and the deploy run on the same fast clock, so that their waits keep their proportions. */
export const SPEED = 5;
/** Of the fast clock: on a busy machine, an answer within a fifth of it is not too much to ask. */
const CHECK_TIMEOUT_SECONDS = 4;
/** Of the fast clock too: the two minutes that the target group gives would be 24 s, which is little on a busy machine. */
const PATIENCE_SECONDS = 300;
export const LAB_TEST_MILLISECONDS = 240_000;

export interface TestLab {
  readonly lab: Lab;
  readonly stack: Stack;
  /** A copy of the test application, to be changed at will. */
  readonly workspace: string;
  /** What the deploys said, since the last time it was emptied. */
  readonly said: string[];
  /** What was asked of AWS over the wire, by deploys and hosts, since the last time it was emptied. */
  readonly calls: WireCall[];
  deploy(options?: Partial<DeployOptions>, signal?: AbortSignal): Promise<DeployResult>;
  /** What each host's application answers, asked past the load balancer. */
  versions(): Promise<(string | undefined)[]>;
  end(): Promise<void>;
}

export interface TestLabOptions {
  readonly hosts: number;
  readonly stack?: Partial<StackOptions>;
  /** Called after each answer over the wire; may add faults for the next. */
  readonly onCall?: (call: WireCall) => void;
}

export async function startTestLab(options: TestLabOptions): Promise<TestLab> {
  const said: string[] = [];
  const calls: WireCall[] = [];
  const onCall = (call: WireCall) => {
    calls.push(call);
    options.onCall?.(call);
  };
  const lab = await startLab({ hosts: options.hosts, speed: SPEED, onCall });
  const workspace = mkdtempSync(join(tmpdir(), 'workspace-'));
  const restore = pointAt(lab.env);
  const end = async () => {
    restore();
    rmSync(workspace, { recursive: true, force: true });
    await lab.stop();
  };
  try {
    const stack = await createStack(lab, {
      deregistrationDelaySeconds: 5,
      timeoutSeconds: CHECK_TIMEOUT_SECONDS,
      ...options.stack,
    });
    cpSync(join(dirname(fileURLToPath(import.meta.url)), 'app'), workspace, { recursive: true });
    const settings = deployOptions(workspace, stack, lab.region);
    return {
      ...{ lab, stack, workspace, said, calls, end },
      deploy: (given = {}, signal = new AbortController().signal) =>
        deploy({ ...settings, ...given }, testWorld(lab, said, signal)),
      versions: () => Promise.all(lab.hosts.map(({ address }) => versionAt(`http://${address}:8080/`))),
    };
  } catch (error) {
    await end();
    throw error;
  }
}

export async function versionAt(url: string): Promise<string | undefined> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
  return ((await answer?.json().catch(() => undefined)) as { version?: string } | undefined)?.version;
}

/** Replaces a text in a file of the workspace, and insists that it was there. */
export function writeWorkspace(test: TestLab, file: string, contents: string): void {
  writeFileSync(join(test.workspace, file), contents);
}

function testWorld(lab: Lab, said: string[], signal: AbortSignal) {
  const log: Log = {
    info: (line) => said.push(line),
    warning: (line) => said.push(`warning: ${line}`),
    debug: () => {},
    group: (title, work) => {
      said.push(`# ${title}`);
      return work();
    },
  };
  const world = createWorld({
    region: lab.region,
    ssmDocument: 'AWS-RunShellScript',
    log,
    signal,
    clock: fastClock(SPEED),
  });
  return { ...world, docker: dockerCli({ environment: { ...process.env, ...lab.docker.env } }), mask: () => {} };
}

/** A clock on which `speed` seconds pass in one. */
function fastClock(speed: number): Clock {
  const start = Date.now();
  return {
    now: () => start + (Date.now() - start) * speed,
    sleep: (milliseconds, signal) => systemClock.sleep(milliseconds / speed, signal),
  };
}

function deployOptions(workspace: string, stack: Stack, region: string): DeployOptions {
  return {
    app: 'shop',
    environment: 'production',
    targetGroups: [{ nameOrArn: `${stack.name}-web` }],
    repository: stack.name,
    createRepository: false,
    image: undefined,
    composeFiles: [],
    projectDirectory: workspace,
    services: [],
    envFiles: [],
    build: { args: {}, secrets: {}, target: undefined, platforms: [], cache: 'auto' },
    fleet: { kind: 'registered' },
    strategy: 'auto',
    waveSize: { kind: 'share', percent: 25 },
    healthTimeoutSeconds: PATIENCE_SECONDS,
    stableForSeconds: undefined,
    drainTimeoutSeconds: undefined,
    rollbackOnFailure: true,
    dryRun: false,
    region,
    commit: '3f2c1ab0000000000000000000000000000000000',
  };
}

/** The AWS SDK reads its endpoint and credentials from the environment. Gives back what undoes it. */
function pointAt(env: { readonly [name: string]: string }): () => void {
  const before = Object.keys(env).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, env);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
}
