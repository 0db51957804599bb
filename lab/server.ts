/** The process of a lab that was started by `lab up`: node server.ts HOSTS SPEED SOCKET. */
import { rmSync } from 'node:fs';
import { type Control, startControl } from './control.js';
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
  // First of all, so that a second lab is refused and this one can be ended while it starts.
  const control = await startControl(socket, end);
  try {
    const lab = await startLab({ hosts: Number(hosts), speed: Number(speed), say, signal: ending.signal });
    await serve(lab, control).finally(() => lab.stop());
  } finally {
    await control.close();
    rmSync(socket, { force: true });
  }
  process.exit(0);
} catch (error) {
  console.error(explain(error as Error));
  process.exit(1);
}

/** Resolves when the lab is to end. */
async function serve(lab: Lab, control: Control): Promise<void> {
  const stack = await createStack(lab);
  ending.signal.throwIfAborted();
  control.open(lab, stack);
  process.off('disconnect', end);
  if (process.connected) {
    tell('ready');
    process.disconnect();
  }
  await new Promise<void>((resolve) => {
    if (ending.signal.aborted) resolve();
    ending.signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** What a user can mend is one line; for anything else the place is worth more. */
function explain(error: Error): string {
  const expected = ending.signal.aborted || error instanceof EngineMissingError;
  return expected ? error.message : (error.stack ?? error.message);
}

/** To the command line while it follows the start; into the log always. */
function say(line: string): void {
  console.error(line);
  if (process.connected) tell(line);
}

/** A command line that has just died gets nothing, which is no fault of the lab. */
function tell(line: string): void {
  process.send?.(line, undefined, undefined, () => {});
}
