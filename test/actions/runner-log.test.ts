import { expect, test } from '@jest/globals';
import { defuse } from '../../src/actions/runner-log.js';

/** How the runner finds commands in output (actions/runner, ActionCommand.cs). */
const isCommand = (line: string) => line.trimStart().startsWith('::') || line.includes('##[');

test.each([
  '::error::from a container',
  '  ::set-output name=outcome::succeeded',
  '##[error]from a container',
  'first line\n::add-mask::x\nlast',
  ':::stop',
])('text of others is no command to the runner: %j', (text) => {
  expect(defuse(text).split('\n').some(isCommand)).toBe(false);
});

test('ordinary text stays as it is', () => {
  const text = 'Namespace::method at 12:30:00 # comment [ok]';
  expect(defuse(text)).toBe(text);
});
