import { readFileSync } from 'node:fs';
import { runInNewContext } from 'node:vm';

/** A case that was observed on the real agent; agent.json holds them all. */
export interface AgentCase {
  readonly name: string;
  readonly shell: 'dash' | 'bash';
  readonly commands?: unknown;
  /** A JavaScript expression that gives the commands. */
  readonly commandsJs?: string;
  readonly document?: string;
  readonly properties: { readonly workingDirectory?: string; readonly executionTimeout?: string };
  readonly omittedParameters?: readonly string[];
  readonly expect: Expectation;
}

/** Whole texts up to 1,500 bytes, else head, tail and hash. Lengths in bytes, characters where they differ. */
export interface Expectation {
  readonly documentStatus?: string;
  readonly replies?: readonly string[] | null;
  readonly status?: string;
  readonly code?: number;
  readonly execSeconds?: number;
  readonly survivors?: { readonly [sleep: string]: boolean };
  readonly documentTraceOutput?: string;
  readonly cancelMessageReplies?: readonly (readonly [string, string | null])[];
  readonly repliesInOrder?: readonly RebootReply[];
  readonly newRepliesAfterCancel?: number;
  readonly [text: string]: unknown;
}

export interface RebootReply {
  readonly afterRestart?: number;
  readonly documentStatus: string;
  readonly status?: string;
  readonly code?: number;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly output?: string;
}

/** The streams of a case and where a reply has them. */
export const STREAMS = { stdout: 'standardOutput', stderr: 'standardError', output: 'output' } as const;
export type Stream = keyof typeof STREAMS;

export const cases: readonly AgentCase[] = JSON.parse(readFileSync(new URL('./agent.json', import.meta.url), 'utf8'));

export function commandsOf({ commands, commandsJs }: AgentCase): unknown {
  return commandsJs ? JSON.parse(JSON.stringify(runInNewContext(commandsJs))) : commands;
}

/** What SendCommand is given for a case: the defaults that were sent then, unless the case omits them. */
export function parametersOf(one: AgentCase): { [name: string]: unknown } {
  const all = { commands: commandsOf(one), workingDirectory: '', executionTimeout: '3600', ...one.properties };
  return Object.fromEntries(Object.entries(all).filter(([name]) => !one.omittedParameters?.includes(name)));
}

/** Cases that are not run here, each with its reason. */
const STEPS = 'needs a schema 2.2 document; the lab runs AWS-RunShellScript, which has one step';
export const leftOut: ReadonlyMap<string, string> = new Map(
  [
    'v22-exit-0',
    'v22-exit-1',
    'v22-exit-137',
    'v22-exit-168',
    'v22-exit-169',
    'v22-two-steps-first-exit-0',
    'v22-two-steps-first-exit-1',
    'v22-two-steps-first-exit-137',
    'v22-two-steps-first-exit-168',
    'v22-two-steps-first-exit-169',
  ].map((name) => [name, STEPS]),
);

/** Requests that SendCommand refuses, with its error: the agent gets their message all the same, from the hub. */
export const refusedByService: ReadonlyMap<string, string> = new Map([
  ['commands-empty-list', 'InvalidParameters'],
  ['commands-missing', 'InvalidParameters'],
  ['commands-string-not-list', 'SerializationException'],
  ['timeout-0', 'InvalidParameters'],
  ['timeout-abc', 'InvalidParameters'],
  ['timeout-5.9-float-string', 'InvalidParameters'],
]);

/** Cases about several commands, cancelling or restarts: each has a test of its own. */
export const driven: ReadonlySet<string> = new Set([
  'cancel-running',
  'cancel-running-trap',
  'cancel-while-queued',
  'cancel-after-completion',
  'two-at-once',
  'seven-at-once-sleep-3',
  'agent-service-restarted-while-running',
  'exit-194-twice-then-0',
]);

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const NIL = '00000000-0000-0000-0000-000000000000';

/** What differs from machine to machine and from run to run, in these cases only. */
const VARYING: { readonly [name: string]: (text: string) => string } = {
  env: systemd,
  'env-proc': systemd,
  'bash-env': systemd,
  'env-misc': (text) => text.replace(/^1024\n\d+$/m, '1024\nHARD').replace(/[A-Z][a-z]{2} +\d+ \d\d:\d\d /g, 'DATE '),
  'env-fds': descriptors,
  'env-procs': lettered,
  'kill-9-child-last': jobs,
  'bash-shebang-kill-children': jobs,
};

export function isVarying({ name }: AgentCase): boolean {
  return name in VARYING;
}

/** The text of a case without what may differ; the same for what was observed and what comes now. */
export function comparable({ name }: AgentCase, text: string): string {
  return (VARYING[name] ?? ((same: string) => same))(text.replace(UUID, NIL));
}

/** The command id as sed mangled it; and a shell may still hold the pipes of the very pipeline that lists them. */
function descriptors(text: string): string {
  return text.replace(/orchestration\/[^/]+\//, 'orchestration/ID/').replace(/^[3-9] -> pipe:\[N\]\n/gm, '');
}

/** What systemd numbers anew for every start of a service. */
function systemd(text: string): string {
  return text
    .replace(/INVOCATION_ID=[0-9a-f]{32}/, 'INVOCATION_ID=…')
    .replace(/JOURNAL_STREAM=\d+:\d+/, 'JOURNAL_STREAM=…')
    .replace(/SYSTEMD_EXEC_PID=\d+/, 'SYSTEMD_EXEC_PID=…');
}

/** bash names the process that was killed. */
function jobs(text: string): string {
  return text.replace(/line (\d+): +\d+ Killed/g, 'line $1: PID Killed');
}

/** Process ids become letters by their order, so that equal ones stay equal. */
function lettered(text: string): string {
  const letters = new Map<string, string>();
  return text.replace(/(?<=pid=|^|^\d+ )\d{2,}(?= |$)/gm, (id) => {
    if (!letters.has(id)) letters.set(id, String.fromCharCode(65 + letters.size));
    return letters.get(id) ?? '';
  });
}
