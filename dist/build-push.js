import { buildPush } from './index.js';

await buildPush();
