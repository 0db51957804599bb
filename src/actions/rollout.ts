import { runDeploy } from './deploy.js';
import { readRolloutInputs } from './deploy-inputs.js';
import { fail } from './failure.js';

/** Everything but the build, for an image that exists. */
export async function rolloutAction(): Promise<void> {
  try {
    await runDeploy(readRolloutInputs());
  } catch (error) {
    fail(error);
  }
}
