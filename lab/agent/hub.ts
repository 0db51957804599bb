import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { LabClock } from '../model/clock.js';
import type { Instances } from '../model/instances.js';
import type { AgentMessage, AgentReply, HostDescription, HubEvent, RoleCredentials } from './hub-protocol.js';

export type * from './hub-protocol.js';

/** How long a poll is held open, of real time. */
const POLL_MILLISECONDS = 20_000;
/** The real agent's node stayed Online through an outage of eight minutes. */
const ONLINE_MILLISECONDS = 10 * 60_000;
const BODY_LIMIT_BYTES = 16 * 1024 * 1024;

export interface HubOptions {
  readonly clock: LabClock;
  /** Addresses to listen on, all with the same port. */
  readonly hosts: readonly string[];
  readonly credentials: (instanceId: string) => RoleCredentials;
  /** Where given, the metadata service tells an instance's zone, type, image and architecture from here. */
  readonly instances?: Instances;
  /** Values of the stored parameters that `{{ssm:NAME}}` in commands names; what is missing in the answer is unknown. */
  readonly parameters?: (names: readonly string[]) => Promise<{ readonly [name: string]: string }>;
}

/** Stands between the service and the agents on the hosts, as ec2messages does. */
export interface Hub {
  readonly port: number;
  /** Admits an instance's agent and gives the token that it must show. */
  register(instanceId: string): string;
  /** Queues a message; the agent gets it with its next poll and again until it acknowledges it. */
  deliver(instanceId: string, message: AgentMessage): void;
  /** Takes back a message. False when the agent has acknowledged it already. */
  withdraw(instanceId: string, messageId: string): boolean;
  onEvent(listener: (event: HubEvent) => void): () => void;
  /** PingStatus: true up to ten minutes (of the lab's clock) after the agent was last heard of. */
  isOnline(instanceId: string): boolean;
  /** Whether the agent polls right now, which AWS does not tell. */
  isConnected(instanceId: string): boolean;
  /** Milliseconds since the epoch; undefined before the agent's first word. */
  lastPing(instanceId: string): number | undefined;
  /** Undefined before the agent has registered. */
  describe(instanceId: string): HostDescription | undefined;
  /** The agent takes nothing any more and its replies get lost on the way, yet it stays Online. */
  hang(instanceId: string): void;
  unhang(instanceId: string): void;
  close(): Promise<void>;
}

interface Connection {
  readonly token: string;
  readonly queue: AgentMessage[];
  poll?: (messages: readonly AgentMessage[]) => void;
  description?: HostDescription;
  lastPing?: number;
  hung: boolean;
}

export async function startAgentHub(options: HubOptions): Promise<Hub> {
  const switchboard = new Switchboard(options);
  const handle = (request: IncomingMessage, response: ServerResponse) => void answer(switchboard, request, response);
  const servers: Server[] = [];
  let port = 0;
  for (const host of options.hosts) {
    const server = createServer(handle);
    servers.push(server);
    port = await listen(server, host, port);
  }
  return Object.assign(switchboard, { port, close: () => switchboard.end(servers) });
}

/** The first address takes a free port, the others the same. */
function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address ? address.port : port);
    });
  });
}

class Switchboard {
  readonly #options: HubOptions;
  readonly #connections = new Map<string, Connection>();
  readonly #listeners = new Set<(event: HubEvent) => void>();

  constructor(options: HubOptions) {
    this.#options = options;
  }

  register(instanceId: string): string {
    const token = randomBytes(24).toString('base64url');
    this.#connections.set(instanceId, { token, queue: [], hung: false });
    return token;
  }

  deliver(instanceId: string, message: AgentMessage): void {
    const connection = this.#connections.get(instanceId);
    if (!connection) throw new Error(`No agent was admitted for ${instanceId}.`);
    connection.queue.push(message);
    this.#flush(connection);
  }

  withdraw(instanceId: string, messageId: string): boolean {
    const queue = this.#connections.get(instanceId)?.queue ?? [];
    const index = queue.findIndex((message) => message.messageId === messageId);
    if (index >= 0) queue.splice(index, 1);
    return index >= 0;
  }

  onEvent(listener: (event: HubEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  isOnline(instanceId: string): boolean {
    const heard = this.lastPing(instanceId);
    return heard !== undefined && this.#options.clock.now() - heard < ONLINE_MILLISECONDS;
  }

  isConnected(instanceId: string): boolean {
    return this.#connections.get(instanceId)?.poll !== undefined;
  }

  lastPing(instanceId: string): number | undefined {
    if (this.isConnected(instanceId)) return this.#options.clock.now();
    return this.#connections.get(instanceId)?.lastPing;
  }

  describe(instanceId: string): HostDescription | undefined {
    return this.#connections.get(instanceId)?.description;
  }

  hang(instanceId: string): void {
    const connection = this.#connections.get(instanceId);
    if (connection) connection.hung = true;
  }

  unhang(instanceId: string): void {
    const connection = this.#connections.get(instanceId);
    if (!connection) return;
    connection.hung = false;
    this.#flush(connection);
  }

  async end(servers: readonly Server[]): Promise<void> {
    this.#emit({ kind: 'closed' });
    for (const server of servers) server.closeAllConnections();
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }

  admit(instanceId: string, token: string): Connection | undefined {
    const connection = this.#connections.get(instanceId);
    return connection?.token === token ? connection : undefined;
  }

  heard(connection: Connection): void {
    connection.lastPing = this.#options.clock.now();
  }

  registered(instanceId: string, connection: Connection, description: HostDescription): unknown {
    connection.description = description;
    this.#emit({ kind: 'registered', instanceId });
    const instance = this.#options.instances?.get(instanceId);
    const about = instance && {
      zone: instance.zone,
      type: instance.type,
      image: instance.image,
      architecture: instance.architecture,
    };
    return { credentials: this.#options.credentials(instanceId), ...(about ? { instance: about } : {}) };
  }

  credentials(instanceId: string): unknown {
    return { credentials: this.#options.credentials(instanceId) };
  }

  async parameters(names: readonly string[]): Promise<unknown> {
    return { values: (await this.#options.parameters?.(names)) ?? {} };
  }

  acknowledged(instanceId: string, messageId: string): unknown {
    this.withdraw(instanceId, messageId);
    this.#emit({ kind: 'acknowledged', instanceId, messageId });
    return {};
  }

  /** A document that ends without an acknowledgement, because it was refused, is done with too. */
  replied(reply: AgentReply): unknown {
    if (reply.documentStatus !== 'InProgress') this.withdraw(reply.instanceId, reply.messageId);
    this.#emit({ kind: 'reply', ...reply });
    return {};
  }

  /** Resolves with what waits, at once or when it comes; empty after the poll's time. A newer poll ends an older one. */
  async poll(connection: Connection, gone: AbortSignal): Promise<unknown> {
    connection.poll?.([]);
    const messages = await new Promise<readonly AgentMessage[]>((resolve) => {
      const finish = (found: readonly AgentMessage[]) => {
        clearTimeout(timer);
        if (connection.poll === finish) delete connection.poll;
        this.heard(connection);
        resolve(found);
      };
      const timer = setTimeout(() => finish([]), POLL_MILLISECONDS);
      connection.poll = finish;
      gone.addEventListener('abort', () => finish([]), { once: true });
      this.#flush(connection);
    });
    return { messages };
  }

  #flush(connection: Connection): void {
    if (connection.queue.length > 0 && !connection.hung) connection.poll?.([...connection.queue]);
  }

  #emit(event: HubEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
}

interface AgentRequest {
  readonly instance: string;
  readonly token: string;
}

async function answer(switchboard: Switchboard, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  try {
    const body = (await readBody(request)) as AgentRequest;
    const connection = switchboard.admit(body.instance, body.token);
    if (!connection) return send(response, 401, { message: 'The token is not the one this instance was given.' });
    switchboard.heard(connection);
    if (connection.hung && request.url !== '/poll' && request.url !== '/credentials') {
      return send(response, 503, { message: 'The agent hangs.' });
    }
    send(response, 200, await route(switchboard, request.url ?? '', body, connection, gone.signal));
  } catch (error) {
    send(response, 500, { message: error instanceof Error ? error.message : String(error) });
  }
}

function route(
  switchboard: Switchboard,
  path: string,
  body: AgentRequest,
  connection: Connection,
  gone: AbortSignal,
): unknown {
  const { instance, token: _, ...content } = body;
  const fields = content as { readonly [name: string]: unknown };
  switch (path) {
    case '/register':
      return switchboard.registered(instance, connection, content as unknown as HostDescription);
    case '/credentials':
      return switchboard.credentials(instance);
    case '/parameters':
      return switchboard.parameters(fields.names as string[]);
    case '/poll':
      return switchboard.poll(connection, gone);
    case '/acknowledge':
      return switchboard.acknowledged(instance, String(fields.messageId));
    case '/reply':
      return switchboard.replied({ instanceId: instance, ...(content as unknown as Omit<AgentReply, 'instanceId'>) });
    default:
      throw new Error(`The hub has no ${path}.`);
  }
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_LIMIT_BYTES) throw new Error('The request is too long.');
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString());
}

function send(response: ServerResponse, status: number, value: unknown): void {
  if (response.destroyed) return;
  const body = JSON.stringify(value);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
