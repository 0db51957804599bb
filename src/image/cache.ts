import type { DockerCli } from './docker.js';

/** The input `cache`: `auto` takes the best that builder and runner can do. */
export type CacheChoice = 'auto' | 'none' | 'gha' | 'registry';

export interface BuildCache {
  readonly kind: 'none' | 'gha' | 'registry';
  /** One plain sentence: what was chosen and why. */
  readonly reason: string;
}

export interface CacheQuestion {
  readonly choice: CacheChoice;
  readonly docker: DockerCli;
  readonly environment: { readonly [name: string]: string | undefined };
}

/** The docker driver without containerd's image store can only cache inline (docs.docker.com, "Cache storage backends"). */
export async function chooseCache({ choice, docker, environment }: CacheQuestion): Promise<BuildCache> {
  if (choice === 'none') return { kind: 'none', reason: 'Build cache: none, as asked.' };
  if (choice !== 'auto') return { kind: choice, reason: `Build cache: ${choice}, as asked.` };
  const driver = await driverOf(docker);
  if (driver === 'docker')
    return {
      kind: 'none',
      reason:
        "Build cache: only this machine's own, because the builder's driver is docker; docker/setup-buildx-action makes one that can share its cache.",
    };
  if (hasActionsCache(environment)) return { kind: 'gha', reason: 'Build cache: GitHub Actions.' };
  return { kind: 'registry', reason: 'Build cache: the image repository, under tags that begin with cache.' };
}

/** What buildx itself looks for: a token and the address of the cache service, version 1 or 2. */
function hasActionsCache({
  ACTIONS_RUNTIME_TOKEN,
  ACTIONS_RESULTS_URL,
  ACTIONS_CACHE_URL,
}: CacheQuestion['environment']): boolean {
  return Boolean(ACTIONS_RUNTIME_TOKEN) && Boolean(ACTIONS_RESULTS_URL || ACTIONS_CACHE_URL);
}

async function driverOf(docker: DockerCli): Promise<string> {
  const { stdout } = await docker.run(['buildx', 'inspect']);
  return /^Driver:\s*(\S+)/m.exec(stdout)?.[1] ?? 'docker';
}

/** The cache of one service; a cache that can't be written never fails a build. */
export function cacheEntries(
  kind: BuildCache['kind'],
  service: string,
  repository: string,
): { from: string[]; to: string[] } {
  switch (kind) {
    case 'none':
      return { from: [], to: [] };
    case 'gha':
      return { from: [`type=gha,scope=${service}`], to: [`type=gha,scope=${service},mode=max,ignore-error=true`] };
    case 'registry': {
      const ref = `${repository}:cache-${service}`;
      // ECR takes a cache only as an OCI image manifest.
      return {
        from: [`type=registry,ref=${ref}`],
        to: [`type=registry,ref=${ref},mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true`],
      };
    }
    default:
      return kind satisfies never;
  }
}
