export { buildPush } from './actions/build-push.js';
export { deployAction as deploy } from './actions/deploy.js';
export { healthGate } from './actions/health-gate.js';
export { rolloutAction as rollout } from './actions/rollout.js';
