/**
 * Shows the output of an action as GitHub's job log does: groups as headings, debug lines only when asked for, errors with
 * their line breaks.
 */
export function jobLog(write: (text: string) => void): (text: string) => void {
  let rest = '';
  return (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const shown = showLine(line);
      if (shown !== undefined) write(`${shown}\n`);
    }
  };
}

const COMMAND = /^::([a-z-]+)(?: [^:]*)?::(.*)$/;

function showLine(line: string): string | undefined {
  const [, command, message = ''] = COMMAND.exec(line) ?? [];
  switch (command) {
    case undefined:
      return line;
    case 'group':
      return `▸ ${decode(message)}`;
    case 'debug':
      return process.env.RUNNER_DEBUG === '1' ? `debug: ${decode(message)}` : undefined;
    case 'error':
    case 'warning':
    case 'notice':
      return `${command}: ${decode(message)}`;
    default:
      return undefined;
  }
}

function decode(message: string): string {
  return message.replaceAll('%0A', '\n').replaceAll('%0D', '').replaceAll('%25', '%');
}
