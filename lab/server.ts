/** The process of a lab that was started by `lab up`: node server.ts HOSTS SPEED SOCKET. */
import { rmSync } from 'node:fs';
import { startControl } from './control.js';
import { EngineMissingError } from './engine/packages.js';
import { type Lab, startLab } from './lab.js';
import { createStack } from './stack.js';

const [hosts = '1', speed = '1', socket = ''] = process.argv.slice(2);
const ending = new AbortController();
const end = () => ending.abort(new Error('The lab was ended before it was up.'));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end);
// Until it is up, a lab whose command line has died is nobody's.
process.on('disconnect', end);

try {
  const lab = await startLab({ hosts: Number(hosts), speed: Number(speed), say, signal: ending.signal });
  try {
    await serve(lab);
  } finally {
    await lab.stop();
    rmSync(socket, { force: true });
  }
  process.exit(0);
} catch (error) {
  console.error(explain(error as Error));
  process.exit(1);
}

/** Resolves when the lab is to end. */
async function serve(lab: Lab): Promise<void> {
  const stack = await createStack(lab);
  ending.signal.throwIfAborted();
  const closeControl = await startControl(lab, stack, socket, end);
  if (process.connected) {
    process.off('disconnect', end);
    process.send?.('ready');
    process.disconnect();
  }
  await new Promise<void>((resolve) => {
    if (ending.signal.aborted) resolve();
    ending.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await closeControl();
}

/** What a user can mend is one line; for anything else the place is worth more. */
function explain(error: Error): string {
  const expected = ending.signal.aborted || error instanceof EngineMissingError;
  return expected ? error.message : (error.stack ?? error.message);
}

/** To the command line while it follows the start; into the log always. */
function say(line: string): void {
  console.error(line);
  if (process.connected) process.send?.(line);
}
