import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

/** The repository's own folder. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

export interface ActionInput {
  readonly description: string;
  readonly required?: boolean;
  readonly default?: string;
}

/** An action.yml of this repository. */
export interface ActionMetadata {
  readonly name: string;
  readonly description: string;
  readonly inputs: { readonly [name: string]: ActionInput };
  readonly outputs: { readonly [name: string]: { readonly description: string } };
  readonly runs: { readonly using: string; readonly main: string };
}

/** `deploy` is the action.yml at the top; the others are the folders of actions/. */
export function actionNames(): string[] {
  const folders = readdirSync(join(root, 'actions')).filter((name) => existsSync(metadataPath(name)));
  return ['deploy', ...folders.sort()];
}

export function metadataPath(name: string): string {
  return name === 'deploy' ? join(root, 'action.yml') : join(root, 'actions', name, 'action.yml');
}

export function readMetadata(name: string): ActionMetadata {
  if (!existsSync(metadataPath(name))) {
    throw new Error(`There is no action '${name}'. There are: ${actionNames().join(', ')}.`);
  }
  return parse(readFileSync(metadataPath(name), 'utf8')) as ActionMetadata;
}

/** The file that GitHub would run. */
export function entryPath(name: string): string {
  return resolve(dirname(metadataPath(name)), readMetadata(name).runs.main);
}
