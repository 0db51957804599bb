import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { run } from '../engine/shell.js';

/** A file that a build needs besides those of its directory. */
export interface ContextFile {
  readonly name: string;
  readonly contents: string | Buffer;
}

/** An image that is made here, under its usual name, where no image registry answers. */
export interface BaseImage {
  readonly tag: string;
  readonly directory: string;
  readonly files?: () => Promise<readonly ContextFile[]>;
}

/** The npm that comes with Node.js 22. */
const NPM = 'npm@10.9.9';

export const baseImages: readonly BaseImage[] = [
  {
    tag: 'node:22-bookworm-slim',
    directory: folder('node'),
    files: async () => [slimPackages(), trustedCertificates(), await npmPackage()],
  },
  { tag: 'postgres:17', directory: folder('postgres'), files: async () => [slimPackages()] },
  { tag: 'redis:7', directory: folder('redis'), files: async () => [slimPackages()] },
];

/** Together the build context of the image that plays an EC2 instance. */
export const hostImageFolders: readonly string[] = [folder('debian'), folder('host'), folder('../agent')];

function folder(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

function slimPackages(): ContextFile {
  return { name: 'dpkg-slim', contents: readFileSync(join(folder('debian'), 'dpkg-slim')) };
}

/** What this machine trusts, a company's TLS proxy included, so that `npm ci` in a build gets as far as it does here. */
function trustedCertificates(): ContextFile {
  const candidates = [
    process.env.NODE_EXTRA_CA_CERTS,
    process.env.SSL_CERT_FILE,
    '/etc/ssl/certs/ca-certificates.crt',
    '/etc/pki/tls/certs/ca-bundle.crt',
  ];
  const bundle = candidates.find((path) => path && existsSync(path));
  return { name: 'ca-certificates.crt', contents: bundle ? readFileSync(bundle) : rootCertificates.join('\n') };
}

/** Fetched by this machine's npm, so from the registry and through the proxy that it is set up for. */
async function npmPackage(): Promise<ContextFile> {
  const directory = mkdtempSync(join(tmpdir(), 'lab-npm-'));
  try {
    const output = await run('npm', ['pack', '--json', '--pack-destination', directory, NPM]);
    const [{ filename }] = JSON.parse(output) as [{ filename: string }];
    return { name: 'npm.tgz', contents: readFileSync(join(directory, filename)) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
