/** The process of a lab that was started by `lab up`: node server.ts HOSTS SPEED SOCKET. */
import { rmSync } from 'node:fs';
import { startControl } from './control.js';
import { startLab } from './lab.js';
import { createStack } from './stack.js';

const [hosts = '1', speed = '1', socket = ''] = process.argv.slice(2);
const ending = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => ending.abort());

/** To the command line while it follows the start; into the log always. */
function say(line: string): void {
  console.error(line);
  if (process.connected) process.send?.(line);
}

const lab = await startLab({ hosts: Number(hosts), speed: Number(speed), say, signal: ending.signal });
try {
  const stack = await createStack(lab);
  const closeControl = await startControl(lab, stack, socket, () => ending.abort());
  if (process.connected) {
    process.send?.('ready');
    process.disconnect();
  }
  await new Promise<void>((resolve) => {
    if (ending.signal.aborted) resolve();
    ending.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await closeControl();
} finally {
  await lab.stop();
  rmSync(socket, { force: true });
}
process.exit(0);
