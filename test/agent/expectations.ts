import { createHash } from 'node:crypto';
import { expect } from '@jest/globals';
import type { PluginResult } from '../../lab/agent/hub.js';
import { type AgentCase, comparable, isVarying, STREAMS, type Stream } from './cases.js';
import type { Ran } from './run.js';

/** As much of a long text was written down at its head and its end. */
const HEAD_CHARACTERS = 20;
const TAIL_CHARACTERS = 60;
const STDERR_LIMIT_CHARACTERS = 8_000;
/** From here on the time a case took says something: below, it is the machine's speed. */
const TIMED_SECONDS = 3;
/** Slack for a machine that runs several cases at once. */
const EARLY_SECONDS = 0.3;
const LATE_SECONDS = 3;

/** What Run Command makes of the agent's final status: the one place where the service has words of its own. */
const SERVICE_STATUS: { readonly [agent: string]: readonly [status: string, details: string] } = {
  Success: ['Success', 'Success'],
  Failed: ['Failed', 'Failed'],
  TimedOut: ['TimedOut', 'ExecutionTimedOut'],
  Cancelled: ['Cancelled', 'Cancelled'],
};

export function expectAsObserved(one: AgentCase, ran: Ran): void {
  const { expect: expected } = one;
  if (expected.replies) expect(ran.sequence).toEqual(expected.replies);
  expect(ran.final.documentStatus).toBe(expected.documentStatus ?? expected.status);
  expect(ran.final.traceOutput).toBe(expected.documentTraceOutput);
  if (expected.status === undefined) expect(ran.final.plugin).toBeUndefined();
  else expectPlugin(one, ran.final.plugin);
  for (const [sleep, alive] of Object.entries(expected.survivors ?? {})) {
    expect([`sleep ${sleep}`, ran.processes.includes(`sleep ${sleep}`)]).toEqual([`sleep ${sleep}`, alive]);
  }
  if (ran.service) expectServiceAnswers(ran, ran.service);
}

export function expectPlugin(one: AgentCase, plugin: PluginResult | undefined): void {
  expect({ status: plugin?.status, code: plugin?.code }).toEqual({ status: one.expect.status, code: one.expect.code });
  for (const stream of Object.keys(STREAMS) as Stream[]) expectText(one, stream, plugin?.[STREAMS[stream]] ?? '');
  const { execSeconds } = one.expect;
  // The real agent reads output slowly (20 MiB took it 167 s); nobody needs that.
  if (execSeconds === undefined || execSeconds < TIMED_SECONDS || one.name.startsWith('output-')) return;
  expect(seconds(plugin)).toBeGreaterThan(execSeconds - EARLY_SECONDS);
  expect(seconds(plugin)).toBeLessThan(execSeconds + LATE_SECONDS);
}

function seconds(plugin: PluginResult | undefined): number {
  return (Date.parse(plugin?.endDateTime ?? '') - Date.parse(plugin?.startDateTime ?? '')) / 1000;
}

function expectText(one: AgentCase, stream: Stream, text: string): void {
  const field = (suffix: string) => one.expect[`${stream}${suffix}`] as string | number | undefined;
  const whole = field('');
  const observed: { [name: string]: unknown } = {};
  const found: { [name: string]: unknown } = {};
  const compare = (name: string, was: unknown, is: unknown) => {
    if (was !== undefined) Object.assign(observed, { [name]: was }) && Object.assign(found, { [name]: is });
  };
  if (typeof whole === 'string') compare('text', comparable(one, whole), comparable(one, text));
  else {
    compare('head', field('Head'), Array.from(text).slice(0, HEAD_CHARACTERS).join(''));
    compare('tail', field('Tail'), Array.from(text).slice(-TAIL_CHARACTERS).join(''));
  }
  if (!isVarying(one)) {
    compare('length', field('Length'), Buffer.byteLength(text));
    compare('chars', field('Chars'), Array.from(text).length);
    // The hash of a text that names the command is that of the command observed then.
    if (typeof whole !== 'string') compare('sha256', field('Sha256'), createHash('sha256').update(text).digest('hex'));
  }
  expect({ stream, ...found }).toEqual({ stream, ...observed });
}

/** The service shows what the agent sent: of stderr the first 8,000 characters, statuses in its own words. */
export function expectServiceAnswers({ final }: Ran, { invocation, listed }: NonNullable<Ran['service']>): void {
  const [status, details] = SERVICE_STATUS[final.documentStatus] ?? [];
  expect(invocation).toMatchObject({
    Status: status,
    StatusDetails: details,
    ResponseCode: final.plugin?.code ?? -1,
    StandardOutputContent: final.plugin?.standardOutput ?? '',
    StandardErrorContent: Array.from(final.plugin?.standardError ?? '')
      .slice(0, STDERR_LIMIT_CHARACTERS)
      .join(''),
  });
  expect(listed).toMatchObject({
    Status: status,
    StatusDetails: details,
    TraceOutput: final.traceOutput ?? '',
    CommandPlugins: [{ Name: 'aws:runShellScript', Status: status, Output: final.plugin?.output ?? '' }],
  });
}
