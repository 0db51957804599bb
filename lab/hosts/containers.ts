import type { Docker } from '../engine/docker.js';
import { isEngineInUse, useEngine } from '../engine/engine.js';
import { isAlive } from '../engine/home.js';
import type { Say } from '../say.js';

/** Every container, network and volume of a lab carries it; its value is the process that owns the lab. */
const OWNER_LABEL = 'ec2-compose-deploy.lab';

/** What a lab creates in the engine: named, labelled with its owner, and taken away as a whole. */
export class LabContainers {
  readonly #docker: Docker;
  readonly #prefix: string;

  constructor(docker: Docker, name: string) {
    this.#docker = docker;
    this.#prefix = `ec2-compose-deploy-${name}`;
  }

  get network(): string {
    return this.#prefix;
  }

  /** Creates the lab's network; the gateway is the address of this machine on it. */
  async createNetwork(): Promise<{ gateway: string; subnet: string }> {
    await this.#docker(['network', 'create', '--label', `${OWNER_LABEL}=${process.pid}`, this.network]);
    const format = '{{with index .IPAM.Config 0}}{{.Gateway}} {{.Subnet}}{{end}}';
    const words = await this.#docker(['network', 'inspect', '-f', format, this.network]);
    const [gateway = '', subnet = ''] = words.trim().split(' ');
    return { gateway, subnet };
  }

  /** Starts a container in the lab's network and gives back its address. */
  async start(name: string, args: readonly string[]): Promise<{ container: string; address: string }> {
    const container = `${this.#prefix}-${name}`;
    const labels = ['--label', `${OWNER_LABEL}=${process.pid}`];
    await this.#docker(['run', '-d', '--name', container, '--network', this.network, ...labels, ...args]);
    return { container, address: await this.address(container) };
  }

  async address(container: string): Promise<string> {
    const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}';
    return (await this.#docker(['inspect', '-f', format, container])).trim();
  }

  async removeAll(): Promise<void> {
    await removeOwned(this.#docker, (owner) => owner === process.pid, this.#prefix);
  }
}

/** Takes away what labs left behind whose process is gone (killed, or a machine that was switched off). */
export async function removeLeftovers(docker: Docker): Promise<number> {
  return removeOwned(docker, (owner) => !isAlive(owner), '');
}

/** The same without a lab to come. Gives back whether there was anything; an engine that nobody else uses is stopped. */
export async function removeAbandoned(say: Say): Promise<boolean> {
  if (!(await isEngineInUse())) return false;
  const engine = await useEngine(say);
  try {
    return (await removeLeftovers(engine.docker)) > 0;
  } finally {
    await engine.release();
  }
}

async function removeOwned(docker: Docker, isOurs: (owner: number) => boolean, prefix: string): Promise<number> {
  const containers = await owned(docker, ['ps', '-a'], '{{.Names}}', isOurs, prefix);
  await Promise.all(containers.map((container) => docker.attempt(['rm', '-f', '-v', container])));
  const networks = await owned(docker, ['network', 'ls'], '{{.Name}}', isOurs, prefix);
  if (networks.length > 0) await docker.attempt(['network', 'rm', ...networks]);
  return containers.length + networks.length;
}

async function owned(
  docker: Docker,
  list: readonly string[],
  name: string,
  isOurs: (owner: number) => boolean,
  prefix: string,
): Promise<string[]> {
  const format = `${name} {{.Label "${OWNER_LABEL}"}}`;
  const lines = await docker([...list, '--filter', `label=${OWNER_LABEL}`, '--format', format]);
  return lines
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([found = '', owner]) => found.startsWith(prefix) && isOurs(Number(owner)))
    .map(([found = '']) => found)
    .filter(Boolean);
}
