import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { baseImages } from '../../lab/images/index.js';

const example = fileURLToPath(new URL('../../examples/nest-app', import.meta.url));
const tags = baseImages.map(({ tag }) => tag);

interface Stack {
  readonly services: {
    readonly [name: string]: { readonly image?: string; readonly build?: object; readonly volumes?: readonly string[] };
  };
}

describe('the example, on a machine that reaches no image registry', () => {
  test('stands on images that can be made here', () => {
    const pulled = Object.values(production().services).flatMap(({ image }) => image ?? []);
    expect(pulled.length).toBeGreaterThan(0);
    expect(tags).toEqual(expect.arrayContaining([...pulled, ...imagesFrom(join(example, 'Dockerfile'))]));
  });

  test('asks for no Dockerfile frontend, which would have to be pulled', () => {
    expect(read('Dockerfile')).not.toMatch(/^#\s*syntax\s*=/m);
  });

  test('installs from whatever npm registry the machine is set up for', () => {
    expect(Object.keys(JSON.parse(read('package-lock.json')).packages).length).toBeGreaterThan(50);
    expect(read('package-lock.json')).not.toContain('"resolved"');
  });

  test('ships every file that its production stack mounts', () => {
    const mounted = Object.values(production().services)
      .flatMap(({ volumes }) => volumes ?? [])
      .filter((volume) => volume.startsWith('./'))
      .map((volume) => volume.split(':')[0] ?? '');
    expect(mounted).toEqual(['./config/redis.conf']);
    for (const path of mounted) expect(existsSync(join(example, path))).toBe(true);
  });
});

describe('a base image that is made here', () => {
  test.each(baseImages)('$tag finds everything that its Dockerfile asks for', async ({ directory, files }) => {
    const there = [...readdirSync(directory), ...((await files?.()) ?? []).map(({ name }) => name)];
    const wanted = sourcesIn(readFileSync(join(directory, 'Dockerfile'), 'utf8'));
    expect(wanted.length).toBeGreaterThan(0);
    for (const pattern of wanted) expect(there).toContainEqual(expect.stringMatching(pattern));
  });
});

function production(): Stack {
  return parse(read('compose.production.yaml')) as Stack;
}

function read(name: string): string {
  return readFileSync(join(example, name), 'utf8');
}

/** What FROM names, but for the stages of the file itself. */
function imagesFrom(dockerfile: string): string[] {
  const stages = [...readFileSync(dockerfile, 'utf8').matchAll(/^FROM (\S+)(?: AS (\S+))?/gm)];
  const own = new Set(stages.map(([, , name]) => name));
  return stages.flatMap(([, image]) => (image && !own.has(image) ? [image] : []));
}

function sourcesIn(dockerfile: string): RegExp[] {
  const copied = [...dockerfile.matchAll(/^COPY (?:--\S+ )*(.+) \S+$/gm)].flatMap(
    ([, names]) => names?.split(' ') ?? [],
  );
  const mounted = [...dockerfile.matchAll(/--mount=type=bind,source=([^,\s]+)/g)].flatMap(([, name]) => name ?? []);
  return [...copied, ...mounted].map((name) => new RegExp(`^${name.replaceAll('.', '\\.').replaceAll('*', '.*')}$`));
}
