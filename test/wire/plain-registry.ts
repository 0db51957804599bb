import { createHash, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { listenOnAll } from '../../lab/wire/server.js';

export const IMAGE_TYPE = 'application/vnd.oci.image.manifest.v1+json';
export const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';

interface Content {
  readonly type: string;
  readonly body: Buffer;
}

export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
}

/** As much of a docker registry as ECR's front needs before it: no login, absolute addresses under its own name. */
export async function startPlainRegistry() {
  const manifests = new Map<string, Content>();
  const blobs = new Map<string, Buffer>();
  const uploads = new Map<string, Buffer>();
  const received: Received[] = [];

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    received.push({ method, url, headers });
    const { pathname, searchParams } = new URL(url, 'http://registry');
    const body = await bodyOf(request);
    const [, name = '', kind, rest = ''] = /^\/v2\/(.+?)\/(manifests|blobs|tags)\/(.*)$/.exec(pathname) ?? [];
    if (kind === 'tags') return json(response, 200, { name, tags: tagsOf(name) });
    if (kind === 'manifests') return manifest(response, { method, name, rest, body, type: headers['content-type'] });
    if (!rest.startsWith('uploads/')) return blob(response, method, blobs.get(rest));
    const mount = searchParams.get('mount');
    if (method === 'POST' && mount !== null && blobs.has(mount)) return created(response, `/v2/${name}/blobs/${mount}`);
    return upload(response, {
      method,
      name,
      id: rest.slice('uploads/'.length),
      body,
      digest: searchParams.get('digest'),
    });
  }

  function manifest(
    response: ServerResponse,
    {
      method,
      name,
      rest,
      body,
      type = '',
    }: { method: string; name: string; rest: string; body: Buffer; type?: string | undefined },
  ) {
    const digest = digestOf(body);
    if (method === 'PUT') {
      const missing = referredBy(body).some((each) => !blobs.has(each) && !manifests.has(`${name} ${each}`));
      if (missing) return json(response, 400, { errors: [{ code: 'MANIFEST_BLOB_UNKNOWN' }] });
      for (const reference of [rest, digest]) manifests.set(`${name} ${reference}`, { type, body });
      return created(response, `/v2/${name}/manifests/${digest}`);
    }
    const stored = manifests.get(`${name} ${rest}`);
    if (!stored) return json(response, 404, { errors: [{ code: 'MANIFEST_UNKNOWN' }] });
    if (method === 'DELETE') {
      for (const [key, { body: other }] of manifests) if (other.equals(stored.body)) manifests.delete(key);
      response.writeHead(202).end();
      return;
    }
    const headers = { 'content-type': stored.type, 'docker-content-digest': digestOf(stored.body) };
    response.writeHead(200, { ...headers, 'content-length': stored.body.length });
    response.end(method === 'HEAD' ? undefined : stored.body);
  }

  function upload(
    response: ServerResponse,
    {
      method,
      name,
      id,
      body,
      digest,
    }: { method: string; name: string; id: string; body: Buffer; digest: string | null },
  ) {
    const upload = id || randomUUID();
    const content = Buffer.concat([uploads.get(upload) ?? Buffer.alloc(0), body]);
    uploads.set(upload, content);
    if (method !== 'PUT' || digest === null) {
      response
        .writeHead(202, { location: `${base()}/v2/${name}/blobs/uploads/${upload}?_state=s`, range: '0-0' })
        .end();
      return;
    }
    if (digestOf(content) !== digest) return json(response, 400, { errors: [{ code: 'DIGEST_INVALID' }] });
    blobs.set(digest, content);
    created(response, `/v2/${name}/blobs/${digest}`);
  }

  const tagsOf = (name: string) =>
    [...manifests.keys()].flatMap((key) =>
      key.startsWith(`${name} `) && !key.includes(':') ? [key.slice(name.length + 1)] : [],
    );
  const created = (response: ServerResponse, path: string) =>
    void response.writeHead(201, { location: `${base()}${path}` }).end();
  const base = () => `http://127.0.0.1:${server.port}`;

  const server = await listenOnAll({ hosts: ['127.0.0.1'] }, () =>
    createServer((request, response) => void answer(request, response)),
  );
  return { url: base(), manifests, blobs, received, close: server.close };
}

export function digestOf(body: Buffer): string {
  return `sha256:${createHash('sha256').update(body).digest('hex')}`;
}

/** The manifest of an image with one configuration and the given layers. */
export function imageManifest(config: Buffer, layers: readonly Buffer[]): string {
  const descriptor = (mediaType: string) => (content: Buffer) => ({
    mediaType,
    size: content.length,
    digest: digestOf(content),
  });
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: IMAGE_TYPE,
    config: descriptor('application/vnd.oci.image.config.v1+json')(config),
    layers: layers.map(descriptor('application/vnd.oci.image.layer.v1.tar+gzip')),
  });
}

function referredBy(body: Buffer): string[] {
  const {
    config,
    layers = [],
    manifests = [],
  } = JSON.parse(body.toString()) as {
    config?: { digest: string };
    layers?: { digest: string }[];
    manifests?: { digest: string }[];
  };
  return [...(config ? [config] : []), ...layers, ...manifests].map(({ digest }) => digest);
}

function blob(response: ServerResponse, method: string, content: Buffer | undefined) {
  if (!content) return json(response, 404, { errors: [{ code: 'BLOB_UNKNOWN' }] });
  response.writeHead(200, { 'content-length': content.length });
  response.end(method === 'HEAD' ? undefined : content);
}

function json(response: ServerResponse, status: number, content: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(content));
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
