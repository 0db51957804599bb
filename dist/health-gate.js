import { healthGate } from './index.js';

await healthGate();
