import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { UNBUILT } from '../compose/compile.js';
import { stableJson } from '../compose/json.js';
import type { CompiledRelease, SlotName } from '../compose/model.js';
import type { DockerCli } from '../image/docker.js';
import { problem } from '../problem.js';

/** What a host reads first: `release/release.json` of the bundle. */
export interface ReleaseRecord {
  readonly v: 1;
  readonly id: string;
  readonly app: string;
  readonly environment: string;
  /** The compose project of the pinned services; the slots are `<project>-blue` and `<project>-green`. */
  readonly project: string;
  readonly commit: string;
  /** The reference that each service runs, rolled and pinned. */
  readonly images: { readonly [service: string]: string };
  readonly services: CompiledRelease['services'];
  readonly web: CompiledRelease['web'];
  readonly variables: CompiledRelease['variables'];
  /** Relative to `release/files`, in the order of `--env-file`. */
  readonly envFiles: readonly string[];
}

export type ReleaseHead = Pick<ReleaseRecord, 'id' | 'app' | 'environment' | 'project' | 'commit'>;

export interface WriteBundle {
  /** Gets a directory `release`; what an earlier one left there is replaced. */
  readonly directory: string;
  readonly release: ReleaseHead;
  readonly compiled: CompiledRelease;
}

/** Every file of a bundle has this time, so that equal releases are equal bytes. */
const MTIME_SECONDS = 0;

export function releaseRecord(release: ReleaseHead, compiled: CompiledRelease): ReleaseRecord {
  const { services, web, variables, envFiles } = compiled;
  const images = Object.fromEntries(services.map(({ name, image }) => [name, image]));
  return { v: 1, ...release, images, services, web, variables, envFiles };
}

/** Writes `release/` with release.json, shared.json, slot-*.json and files/. Deterministic, modes kept. */
export async function writeBundle({ directory, release, compiled }: WriteBundle): Promise<ReleaseRecord> {
  refuseUnbuilt(compiled);
  const root = join(directory, 'release');
  await rm(root, { recursive: true, force: true });
  await mkdir(join(root, 'files'), { recursive: true });
  const record = releaseRecord(release, compiled);
  await writeFile(join(root, 'release.json'), stableJson(record));
  await writeFile(join(root, 'shared.json'), stableJson(compiled.shared));
  for (const slot of Object.keys(compiled.slots) as SlotName[])
    await writeFile(join(root, `slot-${slot}.json`), stableJson(compiled.slots[slot]));
  for (const { path, source, mode } of compiled.files) {
    const target = join(root, 'files', path);
    await mkdir(dirname(target), { recursive: true });
    await copyFile(source, target);
    await chmod(target, mode);
  }
  await settleTree(root);
  return record;
}

/** A model of a plan names images that do not exist yet. */
function refuseUnbuilt({ services }: CompiledRelease): void {
  const unbuilt = services.filter(({ image }) => image.startsWith(UNBUILT)).map(({ name }) => name);
  if (unbuilt.length > 0)
    throw new Error(`A bundle needs the images of ${unbuilt.join(', ')}; compile again with them.`);
}

/** Directories and our own files have fixed modes, whatever the runner's umask; everything has the same time. */
async function settleTree(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await settleTree(path);
    else if (/^(release|shared|slot-\w+)\.json$/.test(entry.name) && directory.endsWith('/release'))
      await chmod(path, 0o644);
    await utimes(path, MTIME_SECONDS, MTIME_SECONDS);
  }
  await chmod(directory, 0o755);
  await utimes(directory, MTIME_SECONDS, MTIME_SECONDS);
}

export interface PushBundle {
  /** As writeBundle() left it. */
  readonly directory: string;
  /** `repository:tag` */
  readonly reference: string;
  readonly docker: DockerCli;
  readonly signal?: AbortSignal;
}

/** The bundle as an image of one layer. Returns its digest in the registry. Throws a ProblemsError: BUNDLE_PUSH_FAILED. */
export async function pushBundle({ directory, reference, docker, signal }: PushBundle): Promise<string> {
  const scratch = await mkdtemp(join(tmpdir(), 'bundle-'));
  try {
    const metadata = join(scratch, 'metadata.json');
    const result = await docker.run(
      [
        ...['buildx', 'build', '--push', '--progress', 'plain', '--provenance=false', '--metadata-file', metadata],
        ...['--build-arg', `SOURCE_DATE_EPOCH=${MTIME_SECONDS}`, '--tag', reference, '--file', '-', directory],
      ],
      { input: 'FROM scratch\nCOPY release /release\n', ...(signal ? { signal } : {}) },
    );
    if (result.code !== 0) throw pushFailed(reference, result.stderr);
    const facts = JSON.parse(await readFile(metadata, 'utf8')) as { readonly [key: string]: unknown };
    const digest = facts['containerimage.digest'];
    if (typeof digest !== 'string') throw pushFailed(reference, 'buildx told no digest.');
    return digest;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function pushFailed(reference: string, stderr: string): Error {
  const last = stderr.trim().split('\n').slice(-5).join('\n');
  return problem('BUNDLE_PUSH_FAILED', `The bundle could not be pushed as ${reference}.`, {
    cause: last,
    fix: 'Check that the role may push to the repository (ecr:PutImage and the upload actions).',
  });
}
