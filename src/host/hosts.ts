import type { HostResult, RunCommand } from '../aws/run-command.js';
import type { Clock } from '../clock.js';
import type { Log } from '../log.js';
import type { Problem } from '../problem.js';
import { hostCommand } from './command.js';
import { type HostReport, readReport } from './report.js';
import type { Verb, VerbArguments } from './verbs.js';

/** What came of one verb on one host. Without problems it did all it had to. */
export interface HostOutcome {
  readonly instance: string;
  readonly report?: HostReport;
  /** `where` begins with the instance id. */
  readonly problems: readonly Problem[];
  readonly result: HostResult;
}

/** The verbs on many hosts at once, one outcome a host in the order given. Rejects for what is no host's own failure. */
export type Hosts = {
  readonly [V in Verb]: (
    hosts: readonly string[],
    args: VerbArguments[V],
    signal?: AbortSignal,
  ) => Promise<HostOutcome[]>;
};

/**
 * Seconds that a verb may take on a host: the sum of its own limits (lock 120, a pull 900, pinned services 420, compose
 * up 600), so that the script ends by itself and reports. `preflight` is short on purpose: a host whose agent is gone
 * is found out after the time for delivery and this one, and before anything is built.
 */
const verbSeconds: { readonly [V in Verb]: number } = {
  preflight: 60,
  prepare: 1800,
  swap: 2100,
  verify: 120,
  commit: 600,
  revert: 2100,
  status: 60,
};

export interface HostsOptions {
  readonly runCommand: RunCommand;
  readonly clock: Clock;
  readonly log: Log;
}

export function createHosts(options: HostsOptions): Hosts {
  const verb =
    <V extends Verb>(name: V) =>
    (hosts: readonly string[], args: VerbArguments[V], signal?: AbortSignal) =>
      runVerb(options, name, { hosts, args, signal });
  return {
    preflight: verb('preflight'),
    prepare: verb('prepare'),
    swap: verb('swap'),
    verify: verb('verify'),
    commit: verb('commit'),
    revert: verb('revert'),
    status: verb('status'),
  };
}

interface Call<V extends Verb> {
  readonly hosts: readonly string[];
  readonly args: VerbArguments[V];
  readonly signal: AbortSignal | undefined;
}

async function runVerb<V extends Verb>(
  { runCommand, clock, log }: HostsOptions,
  verb: V,
  { hosts, args, signal }: Call<V>,
): Promise<HostOutcome[]> {
  if (hosts.length === 0) return [];
  const begin = clock.now();
  const results = await runCommand.run({
    hosts,
    script: hostCommand(verb, args),
    comment: `ec2-compose-deploy: ${verb} ${args.app}/${args.environment}`.slice(0, 100),
    executionTimeoutSeconds: verbSeconds[verb],
    ...(signal ? { signal } : {}),
  });
  const outcomes = results.map((result) => toOutcome(verb, result));
  const failed = outcomes.filter(({ problems }) => problems.length > 0).length;
  const seconds = ((clock.now() - begin) / 1000).toFixed(1);
  log.debug(`${verb}: ${hosts.length} hosts in ${seconds} s, ${failed} with problems`);
  for (const { instance, result } of outcomes) if (result.stderr) log.debug(`${instance}: ${result.stderr.trim()}`);
  return outcomes;
}

/** Pure: the report of a host where there is one, otherwise what its absence means. */
export function toOutcome(verb: Verb, result: HostResult): HostOutcome {
  const { instance } = result;
  const report = readReport(result.stdout);
  if (!report || report.verb !== verb) return { instance, problems: [absence(verb, result)], result };
  const problems = report.problems.map((found) => placed(instance, found));
  if (problems.length === 0 && !(report.ok && result.status === 'Success')) problems.push(absence(verb, result));
  return { instance, report, problems, result };
}

function placed(instance: string, { where, ...found }: Problem): Problem {
  return { ...found, where: where ? `${instance} ${where}` : instance };
}

/** StatusDetails of commands that never began, and what is to be done about each. */
const unstarted: { readonly [details: string]: (verb: Verb) => Omit<Problem, 'where'> } = {
  NotManaged: () => ({
    code: 'HOST_NOT_MANAGED',
    message: 'Systems Manager does not know the instance, or it does not run.',
    fix: 'Start the instance and its SSM agent, and give its role AmazonSSMManagedInstanceCore.',
  }),
  AccessDenied: () => ({
    code: 'AWS_ACCESS_DENIED',
    message: 'The deploy role may not run commands on the instance.',
    fix: 'Allow ssm:SendCommand on this instance (check the tag condition of the policy).',
  }),
  InvalidPlatform: () => ({
    code: 'HOST_NOT_LINUX',
    message: 'The document does not run on the platform of the instance.',
    fix: 'Deploy to Linux instances.',
  }),
};

function absence(verb: Verb, result: HostResult): Problem {
  const where = result.instance;
  const known = unstarted[result.details];
  if (known) return { ...known(verb), where };
  if (result.status === 'Undeliverable') {
    return {
      code: 'HOST_UNREACHABLE',
      message: `The SSM agent did not take the ${verb} command (${result.details}).`,
      cause:
        'The agent is stopped or hangs, or the instance has no way to the ssm, ssmmessages and ec2messages endpoints.',
      fix: 'Look at systemctl status amazon-ssm-agent on the host.',
      where,
    };
  }
  if (result.status === 'TimedOut') {
    return {
      code: 'HOST_TIMED_OUT',
      message: `The ${verb} command did not end within ${verbSeconds[verb]} s.`,
      ...lastWords(result),
      fix: 'Read the newest log of the app under /opt/ec2-compose-deploy on the host.',
      where,
    };
  }
  return {
    code: 'HOST_NO_REPORT',
    message: `The ${verb} command ended as ${result.details}, exit code ${result.exitCode}, without a report.`,
    ...lastWords(result),
    fix: 'Read the newest log of the app under /opt/ec2-compose-deploy on the host.',
    where,
  };
}

const lastWordsCharacters = 300;

function lastWords({ stderr, stdout }: HostResult): { cause?: string } {
  const text = (stderr.trim() || stdout.trim()).slice(-lastWordsCharacters);
  return text ? { cause: text } : {};
}

const namedHosts = 2;

/**
 * One problem for the same finding on many hosts: the first one's text, and in `where` how many and which. Findings are
 * the same when code, place and message are, numbers aside (each host has other megabytes free).
 */
export function clusterProblems(outcomes: readonly Pick<HostOutcome, 'instance' | 'problems'>[]): Problem[] {
  const clusters = new Map<string, { first: Problem; place: string; hosts: Set<string> }>();
  for (const { instance, problems } of outcomes) {
    for (const found of problems) {
      const place = found.where?.startsWith(instance) ? found.where.slice(instance.length).trim() : (found.where ?? '');
      const key = [found.code, place, found.message.replaceAll(/\d+/g, '#')].join('\0');
      const cluster = clusters.get(key) ?? { first: found, place, hosts: new Set<string>() };
      clusters.set(key, cluster);
      cluster.hosts.add(instance);
    }
  }
  return [...clusters.values()]
    .sort((one, other) => other.hosts.size - one.hosts.size)
    .map(({ first, place, hosts }) => ({ ...first, where: [listHosts([...hosts]), place].filter(Boolean).join(' ') }));
}

function listHosts(hosts: readonly string[]): string {
  const [only] = hosts;
  if (hosts.length === 1 && only) return only;
  if (hosts.length <= namedHosts + 1) return `${hosts.length} hosts (${hosts.join(', ')})`;
  return `${hosts.length} hosts (${hosts.slice(0, namedHosts).join(', ')} and ${hosts.length - namedHosts} more)`;
}
