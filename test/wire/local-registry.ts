import { createServer } from 'node:http';
import { ECRClient, GetAuthorizationTokenCommand } from '@aws-sdk/client-ecr';
import { createEcr } from '../../lab/services/ecr/ecr.js';
import { listenOnAll } from '../../lab/wire/server.js';
import { ACCOUNT, HandClock, REGION, startLocalAws } from './local-aws.js';
import { digestOf, IMAGE_TYPE, imageManifest, startPlainRegistry } from './plain-registry.js';

export const REGISTRY_HOST = '127.0.0.1:5000';

/** A lab's ECR, API and registry, before a registry that the test can look into. */
export async function startLocalRegistry() {
  const plain = await startPlainRegistry();
  const clock = new HandClock();
  const ecr = createEcr({ clock, region: REGION, account: ACCOUNT, registryHost: REGISTRY_HOST, upstream: plain.url });
  const aws = await startLocalAws([ecr.service]);
  const front = await listenOnAll({ hosts: ['127.0.0.1'] }, () => createServer(ecr.registry));
  const client = new ECRClient(aws.client);
  const base = `http://127.0.0.1:${front.port}`;

  async function login(): Promise<string> {
    const { authorizationData } = await client.send(new GetAuthorizationTokenCommand({}));
    return `Basic ${authorizationData?.[0]?.authorizationToken}`;
  }

  /** A request as docker sends it, with a login. */
  async function docker(path: string, options: RequestInit & { readonly authorization?: string } = {}) {
    const authorization = options.authorization ?? (await login());
    return fetch(new URL(path, base), { ...options, headers: { authorization, ...options.headers } });
  }

  /** Pushes an image as docker does: its layers, then its manifest under a tag or, without one, its digest. */
  async function push(repository: string, tag: string | undefined, text: string) {
    const content = [Buffer.from(`{"config":"${text}"}`), Buffer.from(`layer ${text}`)];
    for (const body of content) await pushBlob(repository, body);
    const [config = Buffer.alloc(0), ...layers] = content;
    const manifest = imageManifest(config, layers);
    const digest = digestOf(Buffer.from(manifest));
    const response = await docker(`/v2/${repository}/manifests/${tag ?? digest}`, {
      method: 'PUT',
      headers: { 'content-type': IMAGE_TYPE },
      body: manifest,
    });
    return { response, manifest, digest };
  }

  async function pushBlob(repository: string, body: Buffer): Promise<Response> {
    const started = await docker(`/v2/${repository}/blobs/uploads/`, { method: 'POST' });
    const address = started.headers.get('location') ?? '';
    return docker(`${address}&digest=${digestOf(body)}`, { method: 'PUT', body: new Uint8Array(body) });
  }

  async function close(): Promise<void> {
    await Promise.all([aws.close(), front.close(), plain.close()]);
  }

  return { ...ecr, plain, clock, client, base, login, docker, push, pushBlob, close };
}

export type LocalRegistry = Awaited<ReturnType<typeof startLocalRegistry>>;
