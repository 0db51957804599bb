import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { tryRun } from './shell.js';

/** What a Docker engine changes on the machine's network and does not put back when it ends. */
export interface NetworkBefore {
  readonly forwarding: string;
  readonly forwardPolicy: { readonly [program: string]: string };
  readonly hadDocker: boolean;
}

const FORWARDING = '/proc/sys/net/ipv4/ip_forward';
const PROGRAMS = ['iptables', 'ip6tables'];
const TABLES = ['filter', 'nat', 'raw', 'mangle'];
const DOCKER_RULE = /DOCKER|docker0|\bbr-[0-9a-f]{12}\b/;

export async function readNetwork(): Promise<NetworkBefore> {
  const policies = await Promise.all(
    PROGRAMS.map(async (program) => [program, forwardPolicy(await listRules(program, 'filter'))] as const),
  );
  const rules = (await Promise.all(PROGRAMS.map((program) => listRules(program, 'filter')))).flat();
  return {
    forwarding: existsSync(FORWARDING) ? readFileSync(FORWARDING, 'utf8').trim() : '',
    forwardPolicy: Object.fromEntries(policies),
    hadDocker: (await hasBridge()) || rules.some((rule) => rule.includes('DOCKER')),
  };
}

/** Takes the engine's bridge, rules and chains away again. Does nothing where Docker had been there before us. */
export async function restoreNetwork(before: NetworkBefore): Promise<void> {
  if (before.hadDocker) return;
  await tryRun('ip', ['link', 'delete', 'docker0']);
  for (const program of PROGRAMS) {
    for (const table of TABLES) await removeDockerRules(program, table);
    const policy = before.forwardPolicy[program];
    if (policy) await tryRun(program, ['-P', 'FORWARD', policy]);
  }
  if (before.forwarding) writeFileSync(FORWARDING, before.forwarding);
}

/** Asked of the kernel, since /sys shows the network of whoever mounted it, which in a container may be another one. */
async function hasBridge(): Promise<boolean> {
  const { code } = await tryRun('ip', ['link', 'show', 'docker0']).catch(() => ({ code: 1 }));
  return code === 0;
}

async function removeDockerRules(program: string, table: string): Promise<void> {
  const rules = await listRules(program, table);
  for (const rule of rules.filter((line) => line.startsWith('-A ') && DOCKER_RULE.test(line))) {
    await tryRun(program, ['-t', table, ...splitRule(rule.replace(/^-A/, '-D'))]);
  }
  for (const chain of rules.filter((line) => line.startsWith('-N DOCKER'))) {
    await tryRun(program, ['-t', table, '-X', chain.slice(3)]);
  }
}

/** A rule as `iptables -S` prints it, as arguments; only comments are quoted, and they have no escapes of ours. */
function splitRule(rule: string): string[] {
  return (rule.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replace(/^"|"$/g, ''));
}

async function listRules(program: string, table: string): Promise<string[]> {
  const result = await tryRun(program, ['-t', table, '-S']).catch(() => ({ code: 1, stdout: '', stderr: '' }));
  return result.code === 0 ? result.stdout.split('\n').filter(Boolean) : [];
}

function forwardPolicy(rules: readonly string[]): string {
  return rules.find((rule) => rule.startsWith('-P FORWARD'))?.split(' ')[2] ?? '';
}
