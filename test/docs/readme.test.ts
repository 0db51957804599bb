import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { actionNames } from '../../scripts/metadata.js';
import { readmePath, renderReadme, withTables } from '../../scripts/readme.js';

describe.each(actionNames())('the README of %s', (action) => {
  test('has the tables of its action.yml (npm run docs writes them)', () => {
    expect(readFileSync(readmePath(action), 'utf8')).toBe(renderReadme(action));
  });
});

const metadata = {
  name: 'Example',
  description: 'An example.',
  inputs: {
    app: { description: 'A name.', required: true },
    mode: { description: 'One of a|b.', default: 'a' },
    region: { description: 'A region.', default: '' },
  },
  outputs: { outcome: { description: 'How it ended.' } },
  runs: { using: 'node24', main: 'dist/example.js' },
};
const markers = '<!-- inputs-start -->old<!-- inputs-end -->\nkept\n<!-- outputs-start --><!-- outputs-end -->\n';

test('a table names the default, or that there is none, or that the input is required; a bar does not end a cell', () => {
  const page = withTables(markers, metadata);
  expect(page).toContain('| `app` | required | A name. |');
  expect(page).toContain('| `mode` | `a` | One of a\\|b. |');
  expect(page).toContain('| `region` | – | A region. |');
  expect(page).toContain('| `outcome` | How it ended. |');
  expect(page).toContain('kept');
  expect(page).not.toContain('old');
  expect(withTables(page, metadata)).toBe(page);
});

test('a page that has lost a marker is an error, not a page without tables', () => {
  expect(() => withTables('no markers', metadata)).toThrow('inputs-start');
});
