import { Agent, type IncomingHttpHeaders, type IncomingMessage, request, type ServerResponse } from 'node:http';

/** A manifest as the registry stores it. */
export interface Manifest {
  readonly digest: string;
  readonly mediaType: string;
  readonly body: Buffer;
}

/** What the upstream registry answered to a manifest that it does not take. */
export class UpstreamRefusal extends Error {
  readonly status: number;
  readonly body: string;

  constructor(status: number, body: string) {
    super(`The registry refused the manifest: ${body}`);
    this.status = status;
    this.body = body;
  }
}

const MANIFEST_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];

/** Between two machines a header that belongs to one connection only, or that the front answers itself. */
const NOT_FORWARDED = new Set([
  'authorization',
  'connection',
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** The plain registry that keeps the bytes. It asks for no login and must allow deletes. */
export class Upstream {
  readonly #url: URL;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });

  constructor(url: string) {
    this.#url = new URL(url);
  }

  async manifest(repository: string, reference: string): Promise<Manifest | undefined> {
    const response = await this.#fetch(`${repository}/manifests/${reference}`, {
      headers: { accept: MANIFEST_TYPES.join(', ') },
    });
    const body = Buffer.from(await response.arrayBuffer());
    const digest = response.headers.get('docker-content-digest');
    if (!response.ok || !digest) return undefined;
    return { digest, mediaType: response.headers.get('content-type') ?? '', body };
  }

  /** Throws UpstreamRefusal. */
  async putManifest(repository: string, reference: string, { mediaType, body }: Omit<Manifest, 'digest'>) {
    const response = await this.#fetch(`${repository}/manifests/${reference}`, {
      method: 'PUT',
      headers: { 'content-type': mediaType },
      body: new Uint8Array(body),
    });
    const text = await response.text();
    if (!response.ok) throw new UpstreamRefusal(response.status, text);
  }

  async deleteManifest(repository: string, digest: string): Promise<void> {
    const response = await this.#fetch(`${repository}/manifests/${digest}`, { method: 'DELETE' });
    await response.arrayBuffer();
    if (response.ok || response.status === 404) return;
    throw new Error(`The upstream registry must allow deletes; it answered ${response.status}.`);
  }

  async tags(repository: string): Promise<string[]> {
    const response = await this.#fetch(`${repository}/tags/list`);
    if (!response.ok) return response.arrayBuffer().then(() => []);
    const { tags } = (await response.json()) as { tags: string[] | null };
    return tags ?? [];
  }

  /** The size of a layer in bytes, or undefined where it is not there. */
  async blobSize(repository: string, digest: string): Promise<number | undefined> {
    const response = await this.#fetch(`${repository}/blobs/${digest}`, { method: 'HEAD' });
    return response.ok ? Number(response.headers.get('content-length') ?? 0) : undefined;
  }

  /**
   * Passes a request on under `path` and its answer back, both as streams. Addresses in the answer (`Location`) lead
   * back to `base`, the address under which the client knows this registry. `failed` is called when nothing answers.
   */
  forward(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    { path, base, failed }: { readonly path: string; readonly base: string; readonly failed: (error: Error) => void },
  ): void {
    const { method, headers } = incoming;
    const upstream = request(
      new URL(path, this.#url),
      { method, headers: forwarded(headers), agent: this.#agent },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, this.#answerHeaders(answer.headers, base));
        answer.on('error', () => outgoing.destroy());
        answer.pipe(outgoing);
      },
    );
    upstream.on('error', (error) => (outgoing.headersSent ? outgoing.destroy() : failed(error)));
    outgoing.on('close', () => outgoing.writableFinished || upstream.destroy());
    incoming.pipe(upstream);
  }

  #answerHeaders(headers: IncomingHttpHeaders, base: string): IncomingHttpHeaders {
    const { location, ...rest } = forwarded(headers);
    if (location === undefined) return rest;
    const { pathname, search } = new URL(location, this.#url);
    return { ...rest, location: `${base}${pathname}${search}` };
  }

  #fetch(path: string, options: RequestInit = {}): Promise<Response> {
    return fetch(new URL(`/v2/${path}`, this.#url), options);
  }
}

function forwarded(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !NOT_FORWARDED.has(name)));
}
