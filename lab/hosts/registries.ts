import type { Docker } from '../engine/docker.js';
import type { LabContainers } from './containers.js';

const REGISTRY_PORT = 5000;
/** Layers of the public images stay between labs, as images of the engine do. */
const MIRROR_VOLUME = 'ec2-compose-deploy-mirror';

const REGISTRY_CONFIG = `
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: /registry}, delete: {enabled: true}}
http: {addr: ":${REGISTRY_PORT}"}
`;

/** A plain registry without authentication, reached by the lab only: ECR's front stands before it. */
export async function startRegistry(containers: LabContainers, image: string): Promise<string> {
  const { address } = await containers.start('registry', registryArguments(image, []));
  await answering(`http://${address}:${REGISTRY_PORT}/v2/`);
  return `http://${address}:${REGISTRY_PORT}`;
}

/** Docker Hub as the hosts see it: a mirror with the public images that this machine has. Gives back `address:port`. */
export async function startMirror(
  containers: LabContainers,
  docker: Docker,
  options: { readonly image: string; readonly publicImages: readonly string[] },
): Promise<string> {
  const storage = ['-v', `${MIRROR_VOLUME}:/registry`, '-p', `127.0.0.1::${REGISTRY_PORT}`];
  const { container, address } = await containers.start('mirror', registryArguments(options.image, storage));
  const published = await docker(['port', container, String(REGISTRY_PORT)]);
  const port = published.trim().split('\n')[0]?.split(':').at(-1);
  await answering(`http://${address}:${REGISTRY_PORT}/v2/`);
  for (const tag of options.publicImages) {
    const name = `127.0.0.1:${port}/library/${tag}`;
    await docker(['tag', tag, name]);
    await docker(['push', '--quiet', name]);
    await docker(['rmi', name]);
  }
  return `${address}:${REGISTRY_PORT}`;
}

/** What was built for a registry that is gone is of no use; its layers stay in the build cache. */
export async function removeImages(docker: Docker, registryHost: string): Promise<void> {
  const format = '{{.Repository}} {{.Tag}} {{.Digest}}';
  const lines = (await docker(['images', '--digests', '--format', format])).split('\n').map((line) => line.split(' '));
  const names = lines
    .filter(([repository = '']) => repository.startsWith(`${registryHost}/`))
    .map(([repository, tag, digest]) => (tag === '<none>' ? `${repository}@${digest}` : `${repository}:${tag}`));
  if (names.length > 0) await docker.attempt(['rmi', ...new Set(names)]);
}

const START_PATIENCE_MILLISECONDS = 30_000;
const LOOK_MILLISECONDS = 50;

async function answering(url: string): Promise<void> {
  const deadline = Date.now() + START_PATIENCE_MILLISECONDS;
  for (;;) {
    const answer = await fetch(url).catch(() => undefined);
    if (answer?.ok) return;
    if (Date.now() > deadline) throw new Error(`The registry at ${url} does not answer.`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
  }
}

function registryArguments(image: string, more: readonly string[]): string[] {
  const script = `printf %s "$CONFIG" >/tmp/config.yml; exec docker-registry serve /tmp/config.yml`;
  return [...more, '-e', `CONFIG=${REGISTRY_CONFIG}`, image, 'sh', '-c', script];
}
