import { setFailed } from '@actions/core';
import { deploy } from '../deploy/deploy.js';
import { type DeployResult, isGreen } from '../deploy/result.js';
import { describeProblem, ProblemsError } from '../problem.js';
import { cancellation } from './cancellation.js';
import { readDeployInputs } from './deploy-inputs.js';
import { writeResult } from './deploy-outputs.js';
import { defuse, runnerLog } from './runner-log.js';
import { createWorld } from './world.js';

/** The action at the top of the repository: build, push, roll out, gate, commit or revert. */
export async function deployAction(): Promise<void> {
  try {
    await main();
  } catch (error) {
    fail(error);
  }
}

async function main(): Promise<void> {
  const { options, ssmDocument } = readDeployInputs();
  const world = createWorld({ region: options.region, ssmDocument, log: runnerLog, signal: cancellation() });
  const result = await deploy(options, world);
  await writeResult(options, result);
  if (!isGreen(result.outcome)) setFailed(defuse(explain(result)));
}

/** The first line of the annotation is the outcome; each problem has its own line. */
export function explain({ outcome, problems }: DeployResult): string {
  return [`The deploy ended as ${outcome}.`, ...problems.map(describeProblem)].join('\n');
}

export function fail(error: unknown): void {
  if (error instanceof ProblemsError) setFailed(defuse(error.problems.map(describeProblem).join('\n')));
  else setFailed(error instanceof Error ? error : String(error));
}
