import { healthGate } from '../../src/actions/health-gate.js';

await healthGate();
