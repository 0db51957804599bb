import { expect, test } from '@jest/globals';
import { jobLog } from '../../scripts/console.js';

test('the output of an action is shown as in a job log, however it arrives', () => {
  const shown: string[] = [];
  const log = jobLog((text) => shown.push(text));
  for (const piece of ['::gro', 'up::Plan\nWave 1\n::debug::detail\n::endgroup::\n::error title=x::one%0Atwo', '\n'])
    log(piece);
  expect(shown.join('')).toBe('▸ Plan\nWave 1\nerror: one\ntwo\n');
});
