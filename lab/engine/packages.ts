import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Say } from '../say.js';
import { run, tryRun } from './shell.js';

/** What is missing on this machine and can't be installed by us, in one line. */
export class EngineMissingError extends Error {
  override readonly name = 'EngineMissingError';
}

/** Programs of a Docker engine, unpacked into a folder of the lab's own: nothing is enabled, nothing replaced. */
export interface EnginePrograms {
  /** To be put before PATH. */
  readonly path: string;
  /** A folder with docker-compose and docker-buildx. */
  readonly plugins: string;
}

interface Distribution {
  readonly id: string;
  readonly codename: string;
}

/** Debian 12's compose is version 1 and its engine can't build what buildx asks for; Debian 13's packages run on it. */
const NEWER_SUITE: { readonly [codename: string]: string } = { bookworm: 'trixie' };
const DEBIAN_ENGINE = ['docker.io', 'docker-cli', 'containerd', 'tini', 'docker-compose', 'docker-buildx'];
const UBUNTU_ENGINE = ['docker.io', 'containerd', 'tini', 'docker-compose-v2', 'docker-buildx'];
/** Linked against the machine's own libc, so always from the machine's own release. */
const OWN_RELEASE = ['runc'];
/** Installed the ordinary way: commands and libraries without a service. */
const SYSTEM_COMMANDS = { iptables: 'iptables', debootstrap: 'debootstrap', ip: 'iproute2' };

/** Downloads and unpacks the engine once; later calls find it. */
export async function enginePrograms(home: string, say: Say): Promise<EnginePrograms> {
  const root = join(home, 'engine', 'root');
  const programs = { path: `${join(root, 'usr/bin')}:${join(root, 'usr/sbin')}`, plugins: join(root, 'plugins') };
  const distribution = requireApt();
  if (existsSync(join(root, 'complete')) && missingCommands().length === 0) return programs;
  say(
    `No Docker engine answers: installing ${distribution.id}'s Docker packages into ${join(home, 'engine')} (no service is enabled).`,
  );
  await run('apt-get', ['-q', 'update']);
  await installSystemCommands();
  if (!existsSync(join(root, 'complete'))) await unpackEngine(root, distribution);
  return programs;
}

function requireApt(): Distribution {
  const distribution = readDistribution();
  if (!distribution || process.getuid?.() !== 0) {
    throw new EngineMissingError(
      'No Docker engine answers. Start or install Docker with compose v2 and buildx (https://docs.docker.com/engine/install/), or run this as root on Debian or Ubuntu to have it installed for you.',
    );
  }
  return distribution;
}

function readDistribution(): Distribution | undefined {
  if (process.platform !== 'linux' || !existsSync('/etc/os-release')) return undefined;
  const values = Object.fromEntries(
    readFileSync('/etc/os-release', 'utf8')
      .split('\n')
      .map((line) => line.split('=', 2).map((part) => part.replaceAll('"', ''))),
  ) as { [key: string]: string | undefined };
  const id = values.ID ?? '';
  if (id !== 'debian' && id !== 'ubuntu') return undefined;
  return { id, codename: values.VERSION_CODENAME ?? '' };
}

function missingCommands(): string[] {
  const folders = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'];
  return Object.entries(SYSTEM_COMMANDS).flatMap(([command, name]) =>
    folders.some((folder) => existsSync(join(folder, command))) ? [] : [name],
  );
}

async function installSystemCommands(): Promise<void> {
  const names = [...missingCommands(), 'libseccomp2', 'ca-certificates'];
  await run('apt-get', ['-q', '-y', 'install', '--no-install-recommends', ...names], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
}

async function unpackEngine(root: string, { id, codename }: Distribution): Promise<void> {
  const fresh = `${root}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(join(fresh, 'plugins'), { recursive: true });
  const suite = id === 'debian' ? NEWER_SUITE[codename] : undefined;
  await unpack(fresh, id === 'ubuntu' ? UBUNTU_ENGINE : DEBIAN_ENGINE, suite);
  await unpack(fresh, OWN_RELEASE, undefined);
  for (const folder of ['usr/libexec/docker/cli-plugins', 'usr/lib/docker/cli-plugins']) {
    if (existsSync(join(fresh, folder))) cpSync(join(fresh, folder), join(fresh, 'plugins'), { recursive: true });
  }
  writeFileSync(join(fresh, 'complete'), '');
  rmSync(root, { recursive: true, force: true });
  renameSync(fresh, root);
}

/** Downloads packages, of another suite of the same mirror where one is named, and unpacks them without installing. */
async function unpack(root: string, names: readonly string[], suite: string | undefined): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'engine-packages-'));
  try {
    const options = suite ? await otherSuite(folder, suite) : [];
    chmodSync(folder, 0o777); // apt's own user writes here
    await run('apt-get', [...options, '-q', 'download', ...names], { cwd: folder });
    for (const file of readdirSync(folder).filter((name) => name.endsWith('.deb'))) {
      await run('dpkg', ['-x', join(folder, file), root]);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function otherSuite(folder: string, suite: string): Promise<string[]> {
  const list = join(folder, 'suite.list');
  const lists = join(folder, 'lists');
  mkdirSync(join(lists, 'partial'), { recursive: true });
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  writeFileSync(list, `deb [signed-by=${keyring}] ${await debianMirror()} ${suite} main\n`);
  const options = [
    `Dir::Etc::SourceList=${list}`,
    'Dir::Etc::SourceParts=/dev/null',
    `Dir::State::Lists=${lists}`,
    'Dir::Cache::pkgcache=',
    'Dir::Cache::srcpkgcache=',
  ].flatMap((option) => ['-o', option]);
  await run('apt-get', [...options, '-q', 'update']);
  return options;
}

/** The mirror that this machine's own package lists name. */
export async function debianMirror(): Promise<string> {
  const { stdout } = await tryRun('apt-get', ['indextargets', '--format', '$(REPO_URI)|$(ORIGIN)|$(LABEL)']);
  const repositories = stdout.split('\n').map((line) => line.split('|'));
  const debian = repositories.find(([, origin, label]) => origin === 'Debian' && label === 'Debian');
  if (debian?.[0]) return debian[0];
  throw new EngineMissingError(
    'The package lists of this machine name no mirror of Debian: run apt-get update, or start Docker.',
  );
}
