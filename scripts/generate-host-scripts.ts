import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = new URL('../src/host/scripts/', import.meta.url);
const generated = new URL('../src/host/scripts.generated.ts', import.meta.url);

/**
 * src/host/scripts/*.sh as one TypeScript module, so that they are part of every bundle, and of nothing but the module
 * graph. Comment lines, empty lines and indentation stay behind: a command's text is limited.
 */
export function renderHostScripts(): string {
  const names = readdirSync(folder).filter((name) => name.endsWith('.sh'));
  const entries = names.sort().map((name) => {
    const lines = readFileSync(new URL(name, folder), 'utf8')
      .split('\n')
      .map((line) => line.trim());
    const kept = lines.filter((line) => line !== '' && !line.startsWith('#'));
    return `  ${JSON.stringify(name.replace(/\.sh$/, ''))}: [\n${kept.map((line) => `    ${JSON.stringify(line)},\n`).join('')}  ],\n`;
  });
  return [
    '// Made from src/host/scripts/*.sh by scripts/generate-host-scripts.ts. Do not edit.\n',
    '// biome-ignore-all format: generated\n',
    '// biome-ignore-all lint: shell, not templates\n',
    `export const hostScripts = {\n${entries.join('')}} as const;\n`,
  ].join('');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(generated, renderHostScripts());
