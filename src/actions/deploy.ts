import { setFailed } from '@actions/core';
import { deploy } from '../deploy/deploy.js';
import { type DeployResult, isGreen } from '../deploy/result.js';
import { describeProblem } from '../problem.js';
import { cancellation } from './cancellation.js';
import { readDeployInputs, type Settings } from './deploy-inputs.js';
import { writeResult } from './deploy-outputs.js';
import { fail } from './failure.js';
import { defuse, runnerLog } from './runner-log.js';
import { createWorld } from './world.js';

/** The action at the top of the repository: build, push, roll out, gate, commit or revert. */
export async function deployAction(): Promise<void> {
  try {
    await runDeploy(readDeployInputs());
  } catch (error) {
    fail(error);
  }
}

export async function runDeploy({ options, ssmDocument }: Settings): Promise<void> {
  const world = createWorld({ region: options.region, ssmDocument, log: runnerLog, signal: cancellation() });
  for (const secret of Object.values(options.build.secrets)) world.mask(secret);
  const result = await deploy(options, world);
  await writeResult(options, result);
  if (!isGreen(result.outcome)) setFailed(defuse(explain(result)));
}

/** The first line of the annotation is the outcome; each problem has its own line. */
function explain({ outcome, problems }: DeployResult): string {
  return [`The deploy ended as ${outcome}.`, ...problems.map(describeProblem)].join('\n');
}
