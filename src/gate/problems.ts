import { formatDuration } from '../duration.js';
import type { Problem } from '../problem.js';
import { quote, type Sighting } from './sighting.js';
import { type TargetId, targetKey } from './target.js';
import type { ContainerObservation, ExpectedContainer } from './watched.js';

/** A target in a state that does not heal by waiting. */
export function targetProblem(target: TargetId, sighting: Sighting): Problem {
  const message = `The load balancer calls the target ${quote(sighting)}, which waiting does not change.`;
  return finding(sighting.code, message, targetKey(target));
}

/** A target behind which containers are to be verified, but nobody knows which. */
export function noContainers(target: TargetId): Problem {
  return finding('CONTAINER_MISSING', 'Its host reported no container that could be watched.', targetKey(target));
}

/** A container that cannot be what serves, whatever the load balancer says. */
export function containerProblem(
  code: string,
  target: TargetId,
  expected: ExpectedContainer,
  found: ContainerObservation | undefined,
): Problem {
  return finding(code, describeContainer(code, expected, found), targetKey(target));
}

function describeContainer(code: string, expected: ExpectedContainer, found: ContainerObservation | undefined): string {
  const { service, digest } = expected;
  switch (code) {
    case 'WRONG_DIGEST':
      return `${service} runs ${found?.digest ?? 'another image'}, but ${digest} was deployed.`;
    case 'CONTAINER_REPLACED':
      return `${service} is another container than the one that was started.`;
    case 'CONTAINER_EXITED':
      return `${service} exited with code ${found?.exitCode ?? 'unknown'}.`;
    case 'CONTAINER_RESTARTING':
      return `${service} keeps restarting (${found?.restarts ?? 0} restarts).`;
    case 'CONTAINER_RESTARTED':
      return `${service} restarted while the load balancer called it healthy (${found?.restarts ?? 0} restarts).`;
    default:
      return `${service} has no container on the host.`;
  }
}

/** A target whose time is up. `limit` names which of the gate's three clocks ran out. */
export function overdueProblem(
  target: TargetId,
  limit: { readonly name: 'target' | 'progress' | 'total'; readonly seconds: number },
  step: { readonly kind: string; readonly sighting: Sighting | undefined },
): Problem {
  const spent = `${LIMIT_NAMES[limit.name]} of ${formatDuration(limit.seconds)}`;
  if (step.kind === 'verification') {
    return finding(
      'CONTAINER_NOT_VERIFIED',
      `No report from its host confirmed the containers within the ${spent}.`,
      targetKey(target),
    );
  }
  const { sighting } = step;
  if (!sighting) {
    return finding('TARGET_NOT_OBSERVED', `The load balancer told nothing within the ${spent}.`, targetKey(target));
  }
  const words = sighting.kind === 'healthy' ? 'healthy, but not for long enough' : quote(sighting);
  return finding(sighting.code, `Still ${words} after the ${spent}.`, targetKey(target));
}

const LIMIT_NAMES = { target: 'time for one target', progress: 'time without progress', total: 'time in all' };

function finding(code: string, message: string, where: string): Problem {
  const fix = FIXES[code];
  return { code, message, where, ...(fix === undefined ? {} : { fix }) };
}

const FIXES: { readonly [code: string]: string } = {
  TARGET_NOT_REGISTERED: 'Register the target, and see whether something else deregisters it (an Auto Scaling group).',
  TARGET_NOT_IN_USE:
    "Forward a listener rule to the target group, and enable the instance's Availability Zone on the load balancer.",
  TARGET_INSTANCE_NOT_RUNNING: 'Start or replace the instance.',
  TARGET_IP_UNUSABLE: 'Register instances, not addresses of a load balancer.',
  TARGET_UNSTABLE: 'Look for a health path that answers near its timeout, or a host short of CPU.',
  TARGET_STILL_INITIAL: 'See whether the load balancer can reach the target at all: security groups, network ACLs.',
  TARGET_CODE_MISMATCH: "Make the health path answer with a code of the target group's matcher.",
  TARGET_TIMEOUT: "Open the port from the load balancer's security group, or make the health path answer faster.",
  TARGET_CONNECTION_FAILED: 'See that the container listens on 0.0.0.0 and publishes the registered port.',
  TARGET_DRAINING: "Register it again once the group's deregistration delay is over.",
  TARGET_CHECKS_DISABLED: 'Enable health checks in the target group.',
  CONTAINER_EXITED: "Read the container's last log lines.",
  CONTAINER_RESTARTING: "Read the container's last log lines.",
  CONTAINER_RESTARTED: "Read the container's last log lines; it fails after its first good answers.",
  CONTAINER_NOT_VERIFIED: 'See that the SSM agent on the host runs.',
  WRONG_DIGEST: 'See what else starts containers of this service on the host.',
  CONTAINER_REPLACED: 'See what else starts containers of this service on the host.',
};

/** How many places a cluster names before it only counts them. */
const NAMED_PLACES = 5;

/** The same problem in many places becomes one, most frequent first: `37 targets: …`. */
export function clusterProblems(problems: readonly Problem[]): Problem[] {
  const clusters = new Map<string, Problem[]>();
  for (const problem of problems) {
    const key = `${problem.code} ${problem.message}`;
    const alike = clusters.get(key) ?? [];
    alike.push(problem);
    clusters.set(key, alike);
  }
  return [...clusters.values()]
    .sort((one, other) => other.length - one.length)
    .flatMap((alike) => (alike[0] ? [{ ...alike[0], ...places(alike) }] : []));
}

function places(alike: readonly Problem[]): { where?: string } {
  const where = alike.flatMap((one) => one.where ?? []);
  if (where.length === 0) return {};
  return { where: listPlaces(where) };
}

export function listPlaces(where: readonly string[]): string {
  const more = where.length - NAMED_PLACES;
  return more > 0 ? `${where.slice(0, NAMED_PLACES).join(', ')} and ${more} more` : where.join(', ');
}
