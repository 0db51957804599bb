import { setFailed, setOutput } from '@actions/core';
import { createClients } from '../aws/clients.js';
import { createTargetGroups } from '../aws/elbv2-target-groups.js';
import type { TargetGroups } from '../aws/target-groups.js';
import { systemClock } from '../clock.js';
import { formatDuration } from '../duration.js';
import { type GateResult, gate } from '../gate/loop.js';
import { type GatePolicy, leastSeconds, policyFor } from '../gate/policy.js';
import type { TargetGroup, TargetId } from '../gate/target.js';
import type { Change, WatchedTarget } from '../gate/watched.js';
import { describeProblem, ProblemsError, problem } from '../problem.js';
import { cancellation } from './cancellation.js';
import { type HealthGateOptions, minimumOf, readHealthGateInputs } from './health-gate-inputs.js';
import { defuse, runnerLog } from './runner-log.js';

/** The gate alone, for any deployer. */
export async function healthGate(): Promise<void> {
  try {
    await main();
  } catch (error) {
    const words = error instanceof ProblemsError ? error.problems.map(describeProblem).join('\n') : String(error);
    setFailed(defuse(words));
  }
}

async function main(): Promise<void> {
  const options = readHealthGateInputs();
  const signal = cancellation();
  const targetGroups = createTargetGroups(createClients({ region: options.region }).elbv2);
  const group = await targetGroups.describe(options.targetGroup);
  requireInstances(group);
  const watched = await chooseTargets(options, group, (arn) => targetGroups.health(arn, signal));
  const policy = policyOf(options, group, watched);
  const result = await gate({
    groups: [{ arn: group.arn, policy, watched }],
    targetGroups,
    clock: systemClock,
    random: Math.random,
    log: runnerLog,
    signal,
  });
  writeOutputs(result);
}

function requireInstances({ name, type }: TargetGroup): void {
  if (type === 'instance') return;
  throw problem('TARGET_GROUP_TYPE', `Target group ${name} is of type ${type}; only instance can be gated on.`, {
    fix: 'Name a target group of type instance.',
  });
}

/** Without `targets`, all that the group holds; those that are leaving it anyway are not waited for. */
async function chooseTargets(
  { targets, since }: HealthGateOptions,
  { arn, name }: TargetGroup,
  health: TargetGroups['health'],
): Promise<WatchedTarget[]> {
  const change: Change = { kind: 'changed', at: since === undefined ? systemClock.now() : since * 1000 };
  const chosen: readonly TargetId[] =
    targets.length > 0 ? targets : (await health(arn)).filter(({ state }) => state !== 'draining');
  if (chosen.length === 0) {
    throw problem('GATE_NO_TARGETS', `No target is registered in ${name}.`, { fix: 'Register the instances first.' });
  }
  return chosen.map(({ instance, port }) => ({ instance, port, change }));
}

/** Throws INPUT_INVALID where no target could be proven before its time is over. */
function policyOf(options: HealthGateOptions, group: TargetGroup, watched: readonly WatchedTarget[]): GatePolicy {
  const minimumHealthy = minimumOf(options.minimumHealthy, watched.length);
  const policy = policyFor(group, { ...options, minimumHealthy });
  const least = options.since === undefined ? leastSeconds(policy, 'changed') : policy.stableForSeconds;
  if (minimumHealthy > watched.length) {
    throw problem('INPUT_INVALID', `minimum-healthy asks for ${minimumHealthy} of ${watched.length} targets.`);
  }
  if (policy.targetSeconds <= least) {
    const times = `${formatDuration(policy.targetSeconds)}, but a proof takes ${formatDuration(least)} at the least`;
    throw problem('INPUT_INVALID', `health-timeout is ${times} (${policy.explanation}).`, {
      fix: 'Raise health-timeout, shorten the health-check interval, or say with since when the change was made.',
    });
  }
  return policy;
}

function writeOutputs(result: GateResult): void {
  setOutput('verdict', result.verdict);
  setOutput('targets', JSON.stringify(result.targets));
  setOutput('waited-seconds', String(result.waitedSeconds));
  if (result.verdict === 'failed') setFailed(defuse(result.problems.map(describeProblem).join('\n')));
}
