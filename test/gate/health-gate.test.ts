import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { realClock } from '../../lab/model/clock.js';
import { createElbv2, type Elbv2 } from '../../lab/services/elbv2/elbv2.js';
import { healthGateInputs } from '../../src/actions/health-gate-inputs.js';
import { instance, type LabApi, labApi, newInstances } from '../balancer/lab-api.js';
import { ACCOUNT, DEPLOYER, REGION, startLocalAws } from '../wire/local-aws.js';

const GOOD = 'i-0000000a';
const BAD = 'i-0000000b';

interface Metadata {
  readonly inputs: { readonly [name: string]: { readonly default?: string } };
  readonly outputs: object;
}
const metadata = parse(readFileSync('actions/health-gate/action.yml', 'utf8')) as Metadata;

let elb: Elbv2;
let aws: Awaited<ReturnType<typeof startLocalAws>>;
let api: LabApi;
let folder: string;
/** The two runs that have to wait for their verdict go side by side. */
let good: Promise<Run>;
let bad: Promise<Run>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'health-gate-'));
  elb = createElbv2({
    instances: newInstances([instance(GOOD, '10.0.0.1'), instance(BAD, '10.0.0.2')]),
    clock: realClock(),
    region: REGION,
    account: ACCOUNT,
    zones: ['eu-west-1a', 'eu-west-1b'],
    listen: false,
    send: async ({ host }) => (host === '10.0.0.1' ? { kind: 'pass' } : { kind: 'code', status: 500 }),
  });
  api = labApi(elb.service);
  aws = await startLocalAws([elb.service]);
  await group('good', [GOOD]);
  await group('bad', [GOOD, BAD]);
  good = run({ 'target-group': 'good', 'stable-for': '10s' });
  bad = run({ 'target-group': 'bad', targets: `${BAD}:8080`, since: '1', 'health-timeout': '15s' });
});

afterAll(async () => {
  await aws.close();
  await elb.close();
  rmSync(folder, { recursive: true });
});

async function group(name: string, ids: readonly string[], options = { listener: true }): Promise<string> {
  const arn = await api.createGroup(name, { HealthCheckIntervalSeconds: '5', HealthCheckTimeoutSeconds: '2' });
  if (options.listener) await api.createBalancer(`${name}-balancer`, arn);
  await api.register(
    arn,
    ids.map((Id) => ({ Id })),
  );
  return arn;
}

interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly outputs: { readonly [name: string]: string };
}

/** Runs the action's entry as the runner does; `onLine` may act on the process. */
async function run(
  inputs: { readonly [name: string]: string },
  options: { environment?: NodeJS.ProcessEnv; onLine?: (line: string, pid: number) => void } = {},
): Promise<Run> {
  const output = join(folder, `output-${Math.random()}`);
  writeFileSync(output, '');
  const defaults = Object.entries(metadata.inputs).map(([name, input]) => [name, input.default ?? '']);
  const all = { ...Object.fromEntries(defaults), ...inputs };
  const child = spawn(process.execPath, ['--import', 'tsx', 'test/gate/run-health-gate.ts'], {
    env: {
      PATH: process.env.PATH,
      GITHUB_OUTPUT: output,
      AWS_REGION: REGION,
      AWS_ENDPOINT_URL: `http://127.0.0.1:${aws.port}`,
      AWS_ACCESS_KEY_ID: DEPLOYER.accessKeyId,
      AWS_SECRET_ACCESS_KEY: 'secret',
      ...Object.fromEntries(Object.entries(all).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value])),
      ...options.environment,
    },
  });
  let stdout = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
    options.onLine?.(String(chunk), child.pid ?? 0);
  });
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { status, stdout, outputs: readOutputs(readFileSync(output, 'utf8')) };
}

function readOutputs(text: string): Run['outputs'] {
  return Object.fromEntries(
    [...text.matchAll(/^(.+)<<(ghadelimiter_.+)\n([\s\S]*?)\n\2$/gm)].map(([, name, , value]) => [name, value]),
  );
}

describe('the health-gate action', () => {
  test('has the inputs that its action.yml has', () => {
    expect(Object.keys(healthGateInputs)).toEqual(Object.keys(metadata.inputs));
  });

  test('passes what serves, with a proof for each target', async () => {
    const { status, stdout, outputs } = await good;
    expect(stdout).toContain('good: 1 of 1 targets proven.');
    expect({ status, verdict: outputs.verdict }).toEqual({ status: 0, verdict: 'passed' });
    expect(JSON.parse(outputs.targets ?? '')).toMatchObject([
      { instance: GOOD, port: 8080, outcome: 'proven', albState: 'healthy' },
    ]);
    expect(Number(outputs['waited-seconds'])).toBeGreaterThanOrEqual(10);
    expect(Object.keys(outputs).sort()).toEqual(Object.keys(metadata.outputs).sort());
  }, 60_000);

  test('fails what does not, with the words of the load balancer', async () => {
    const { status, stdout, outputs } = await bad;
    expect({ status, verdict: outputs.verdict }).toEqual({ status: 1, verdict: 'failed' });
    expect(stdout).toContain(
      '::error::TARGET_CODE_MISMATCH: i-0000000b:8080: Still unhealthy, Target.ResponseCodeMismatch',
    );
    expect(stdout).toContain('[500]');
  }, 60_000);

  test('fails at once what is behind no listener', async () => {
    await group('unused', [GOOD], { listener: false });
    const { status, stdout, outputs } = await run({ 'target-group': 'unused' });
    expect({ status, verdict: outputs.verdict, waited: outputs['waited-seconds'] }).toEqual({
      status: 1,
      verdict: 'failed',
      waited: '0',
    });
    expect(stdout).toContain('TARGET_NOT_IN_USE');
  }, 60_000);

  test('an empty group is not a success', async () => {
    await group('empty', []);
    const { status, stdout } = await run({ 'target-group': 'empty' });
    expect({ status, told: stdout.includes('GATE_NO_TARGETS') }).toEqual({ status: 1, told: true });
  }, 60_000);

  test('stops at once when the run is cancelled', async () => {
    await group('cancelled', [BAD]);
    const onLine = (line: string, pid: number) => {
      if (line.includes('waiting for')) process.kill(pid, 'SIGINT');
    };
    const { status, stdout } = await run({ 'target-group': 'cancelled' }, { onLine });
    expect({ status, told: stdout.includes('The run was cancelled (SIGINT)') }).toEqual({ status: 1, told: true });
  }, 60_000);

  test('tells all that is wrong with its inputs at once', async () => {
    const inputs = {
      'target-group': '',
      targets: 'i-0000000a',
      'minimum-healthy': '0',
      since: '1763825400000',
      'health-timeout': 'soon',
      'stable-for': '-1',
      'time-out': '5',
    };
    const { status, stdout } = await run(inputs, { environment: { AWS_REGION: '' } });
    const named = [...stdout.matchAll(/Input '([a-z-]+)'/g)].map(([, name]) => name);
    expect({ status, named: new Set(named) }).toEqual({
      status: 1,
      named: new Set([...Object.keys(metadata.inputs), 'time-out']),
    });
  }, 60_000);

  test('refuses a time that no target could keep, before it waits for it', async () => {
    await group('hasty', [GOOD]);
    const { status, stdout } = await run({ 'target-group': 'hasty', 'health-timeout': '20s' });
    expect({ status, told: stdout.includes('a proof takes 22s at the least') }).toEqual({ status: 1, told: true });
  }, 60_000);

  test('says that AWS does not answer', async () => {
    const environment = { AWS_ENDPOINT_URL: 'http://127.0.0.1:1' };
    const { status, stdout } = await run({ 'target-group': 'good' }, { environment });
    expect({ status, told: stdout.includes('AWS_UNAVAILABLE') }).toEqual({ status: 1, told: true });
  }, 60_000);
});
