import { rollout } from './index.js';

await rollout();
