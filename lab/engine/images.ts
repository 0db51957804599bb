import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { type BaseImage, baseImages, hostImageFolders } from '../images/index.js';
import type { Say } from '../say.js';
import type { Docker } from './docker.js';
import { labHome, withLock } from './home.js';
import { debianMirror } from './packages.js';
import { run } from './shell.js';

/** Everything local images stand on. */
const DEBIAN = 'debian:trixie-slim';
/** A registry that gives nothing within this time counts as unreachable. */
const PULL_PATIENCE_MILLISECONDS = 120_000;
const HOST_REPOSITORY = 'ec2-compose-deploy-lab-host';

/** The images a lab needs, present in the engine. `host` plays the instances, `public` are known to Docker Hub's users. */
export interface LabImages {
  readonly host: string;
  readonly public: readonly string[];
}

/** Pulls what can be pulled and makes the rest; says so, since the first time takes minutes. */
export async function labImages(docker: Docker, say: Say): Promise<LabImages> {
  return withLock('images', async () => {
    await ensureDebian(docker, say);
    for (const image of baseImages) await ensureBase(docker, image, say);
    return { host: await ensureHost(docker, say), public: [DEBIAN, ...baseImages.map(({ tag }) => tag)] };
  });
}

async function ensureDebian(docker: Docker, say: Say): Promise<void> {
  if ((await isThere(docker, DEBIAN)) || (await pulled(docker, DEBIAN))) return;
  await timed(say, `${DEBIAN}: no image registry answers, making it with debootstrap`, async () => {
    const folder = mkdtempSync(join(labHome(), 'debootstrap-'));
    try {
      await run('debootstrap', ['--variant=minbase', 'trixie', folder, await debianMirror()]);
      await docker(['import', '-', DEBIAN], { input: await tarOf(folder) });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

/** What an image has no use for: 130 of 210 MB, in every image and every copy of it on a host. */
const NOT_NEEDED = [
  './var/cache/apt/*',
  './var/lib/apt/lists/*',
  './usr/share/doc/*',
  './usr/share/man/*',
  './usr/share/locale/*',
];

async function tarOf(folder: string): Promise<Buffer> {
  const archive = `${folder}.tar`;
  try {
    const exclusions = NOT_NEEDED.flatMap((path) => ['--exclude', path]);
    await run('tar', ['-C', folder, ...exclusions, '-cf', archive, '.']);
    return readFileSync(archive);
  } finally {
    rmSync(archive, { force: true });
  }
}

async function ensureBase(docker: Docker, image: BaseImage, say: Say): Promise<void> {
  if ((await isThere(docker, image.tag)) || (await pulled(docker, image.tag))) return;
  await timed(say, `${image.tag}: making it from Debian's packages`, () =>
    build(docker, image.tag, image.directory, image.files),
  );
}

function isSource(path: string): boolean {
  return !/\.ts$|__pycache__/.test(path);
}

/** The host image is named by what it is made of, so that a change in the agent or its Dockerfile makes a new one. */
async function ensureHost(docker: Docker, say: Say): Promise<string> {
  const context = mkdtempSync(join(tmpdir(), 'lab-host-'));
  try {
    for (const folder of hostImageFolders) cpSync(folder, context, { recursive: true, filter: isSource });
    const tag = `${HOST_REPOSITORY}:${hashOf(context)}`;
    if (await isThere(docker, tag)) return tag;
    await timed(say, 'Making the image that plays an EC2 instance', () => build(docker, tag, context));
    return tag;
  } finally {
    rmSync(context, { recursive: true, force: true });
  }
}

async function build(docker: Docker, tag: string, directory: string, files?: BaseImage['files']): Promise<void> {
  const context = mkdtempSync(join(tmpdir(), 'lab-image-'));
  try {
    cpSync(directory, context, { recursive: true });
    for (const file of (await files?.()) ?? []) writeFileSync(join(context, file.name), file.contents);
    await docker(['buildx', 'build', '--progress', 'plain', '--load', '-t', tag, context]);
  } finally {
    rmSync(context, { recursive: true, force: true });
  }
}

async function isThere(docker: Docker, tag: string): Promise<boolean> {
  return (await docker.attempt(['image', 'inspect', tag])).code === 0;
}

let registryAnswers = true;

async function pulled(docker: Docker, tag: string): Promise<boolean> {
  if (!registryAnswers) return false;
  const result = await docker.attempt(['pull', '--quiet', tag], { timeoutMilliseconds: PULL_PATIENCE_MILLISECONDS });
  registryAnswers = result.code === 0 || /not found|manifest unknown/.test(result.stderr);
  return result.code === 0;
}

function hashOf(folder: string): string {
  const hash = createHash('sha256');
  for (const path of filesOf(folder).sort()) hash.update(relative(folder, path)).update(readFileSync(path));
  return hash.digest('hex').slice(0, 12);
}

function filesOf(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

async function timed(say: Say, title: string, work: () => Promise<void>): Promise<void> {
  const start = Date.now();
  say(`${title} …`);
  await work();
  say(`${title}: done in ${Math.round((Date.now() - start) / 1000)} s`);
}
