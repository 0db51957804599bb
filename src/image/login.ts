import { access, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { problem } from '../problem.js';
import { type DockerCli, withEnvironment } from './docker.js';

export interface LoginOptions {
  readonly registry: string;
  /** A secret: masked before it comes here. ECR's user is always AWS. */
  readonly password: string;
  readonly user?: string;
  readonly docker: DockerCli;
  /** The user's own docker configuration. */
  readonly configDirectory?: string;
}

export interface Login {
  /** Logged in; the user's plugins, contexts, builders and other logins work as before. */
  readonly docker: DockerCli;
  /** Forgets the login. */
  logout(): Promise<void>;
}

/** What of the user's configuration is used in place: builders are state that both sides write. */
const SHARED = ['cli-plugins', 'contexts', 'buildx'];

/** Logs in within a private docker configuration, the password on standard input. Throws REGISTRY_LOGIN_FAILED. */
export async function login({
  registry,
  password,
  user = 'AWS',
  docker,
  configDirectory,
}: LoginOptions): Promise<Login> {
  const own = resolve(configDirectory ?? process.env.DOCKER_CONFIG ?? join(homedir(), '.docker'));
  const directory = await mkdtemp(join(tmpdir(), 'docker-config-'));
  const logout = () => rm(directory, { recursive: true, force: true });
  try {
    await copyConfig(own, directory, registry);
    const private_ = withEnvironment(docker, { DOCKER_CONFIG: directory });
    const result = await private_.run(['login', '--username', user, '--password-stdin', registry], { input: password });
    if (result.code !== 0) throw refused(registry, result.stderr, password);
    return { docker: private_, logout };
  } catch (error) {
    await logout();
    throw error;
  }
}

async function copyConfig(own: string, directory: string, registry: string): Promise<void> {
  for (const name of SHARED) if (await exists(join(own, name))) await symlink(join(own, name), join(directory, name));
  const written = await readFile(join(own, 'config.json'), 'utf8').catch(() => '{}');
  const config = JSON.parse(written) as { readonly credHelpers?: { readonly [registry: string]: string } };
  // An empty helper keeps this login in the private file, whatever store the user's other logins are in.
  const kept = { ...config, credHelpers: { ...config.credHelpers, [registry]: '' } };
  await writeFile(join(directory, 'config.json'), JSON.stringify(kept), { mode: 0o600 });
}

function refused(registry: string, stderr: string, password: string): Error {
  const cause = stderr.replaceAll(password, '***').trim().split('\n').at(-1) ?? '';
  return problem('REGISTRY_LOGIN_FAILED', `Docker could not log in to ${registry}.`, {
    cause,
    fix: 'Check that the registry is reachable from the runner and that the role may call ecr:GetAuthorizationToken.',
  });
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
