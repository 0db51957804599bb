import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createDispatch, type Dispatch, type DispatchOptions } from './dispatch.js';

export type { WireCall } from './dispatch.js';

export interface WireServerOptions extends DispatchOptions {
  /** The addresses to listen on, all with the same port: the loopback, and the gateway of the hosts' network. */
  readonly hosts: readonly string[];
  /** Any free one by default. */
  readonly port?: number;
}

export interface WireServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Longer than any client polls: a connection closed between two polls would look like a fault of the network. */
const KEEP_ALIVE_MILLISECONDS = 120_000;

/** A port that is free on one address can be taken on the next. */
const PORT_ATTEMPTS = 10;

/** Serves the lab's AWS over HTTP on every address. Rejects with the socket's error where it can't listen. */
export async function startWireServer(options: WireServerOptions): Promise<WireServer> {
  const dispatch = createDispatch(options);
  return listenOnAll(options, () => createServer((request, response) => void serve(dispatch, request, response)));
}

/** Listens on every address with one port; used for each front of the lab that hosts and the machine share. */
export async function listenOnAll(
  { hosts, port = 0 }: { readonly hosts: readonly string[]; readonly port?: number },
  create: () => Server,
): Promise<WireServer> {
  for (let attempt = 1; ; attempt += 1) {
    const servers: Server[] = [];
    try {
      let common = port;
      for (const host of hosts) {
        const server = create();
        server.keepAliveTimeout = KEEP_ALIVE_MILLISECONDS;
        // A layer of an image, or a command that waits, may take longer than Node's five minutes a request.
        server.requestTimeout = 0;
        servers.push(server);
        common = await listen(server, host, common);
      }
      return { port: common, close: () => closeAll(servers) };
    } catch (error) {
      await closeAll(servers);
      const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
      if (!taken || port !== 0 || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

async function closeAll(servers: readonly Server[]): Promise<void> {
  await Promise.all(
    servers.map(
      (server) =>
        new Promise<void>((resolve) => {
          server.close(() => resolve());
          server.closeAllConnections();
        }),
    ),
  );
}

async function serve(dispatch: Dispatch, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let body = '';
  try {
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
  } catch {
    response.destroy();
    return;
  }
  const { status, headers, body: content } = await dispatch({ headers: request.headers, body });
  response.writeHead(status, headers).end(content);
}
