/**
 * `npm run docs`: writes the tables of inputs and outputs into the READMEs, from each action.yml. With `--check` it only
 * compares, and ends with status 1 where a README is out of date.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ActionMetadata, actionNames, readMetadata, root } from './metadata.js';

type Table = 'inputs' | 'outputs';
const TABLES: readonly Table[] = ['inputs', 'outputs'];

/** The page of an action: the repository's own README for `deploy`. */
export function readmePath(action: string): string {
  return action === 'deploy' ? join(root, 'README.md') : join(root, 'actions', action, 'README.md');
}

/** The text with the tables between its markers replaced. Throws where a marker is missing. */
export function withTables(text: string, metadata: ActionMetadata): string {
  return TABLES.reduce((page, table) => replaceBetween(page, table, render(table, metadata)), text);
}

function render(table: Table, { inputs, outputs }: ActionMetadata): string {
  if (table === 'outputs') {
    const rows = Object.entries(outputs).map(([name, { description }]) => [`\`${name}\``, description]);
    return markdownTable(['output', 'meaning'], rows);
  }
  const rows = Object.entries(inputs).map(([name, { description, required, default: value = '' }]) => [
    `\`${name}\``,
    required ? 'required' : value === '' ? '–' : `\`${value}\``,
    description,
  ]);
  return markdownTable(['input', 'default', 'meaning'], rows);
}

function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}

function replaceBetween(text: string, table: Table, content: string): string {
  const start = `<!-- ${table}-start -->`;
  const end = `<!-- ${table}-end -->`;
  const [from, to] = [text.indexOf(start), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`The markers ${start} and ${end} are not there, in this order.`);
  return `${text.slice(0, from + start.length)}\n${content}\n${text.slice(to)}`;
}

/** The page as it should be. */
export function renderReadme(action: string): string {
  const path = readmePath(action);
  if (!existsSync(path)) throw new Error(`${relative(root, path)} is missing: every action has a README.`);
  return withTables(readFileSync(path, 'utf8'), readMetadata(action));
}

function main(check: boolean): void {
  const stale = actionNames().filter((action) => readFileSync(readmePath(action), 'utf8') !== renderReadme(action));
  for (const action of stale) {
    if (!check) writeFileSync(readmePath(action), renderReadme(action));
    console.log(`${relative(root, readmePath(action))} ${check ? 'is out of date: npm run docs' : 'written'}`);
  }
  process.exitCode = check && stale.length > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.includes('--check'));
