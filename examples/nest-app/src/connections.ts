import type { Server, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BeforeApplicationShutdown, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';

/**
 * Longer than the load balancer's idle timeout (60 s unless you changed it). If the service gave up first, the load
 * balancer could send a request into a connection that is just being closed, and its client would get a 502.
 */
const KEEP_ALIVE_MILLISECONDS = 65_000;

/** How long clients get to learn, from `Connection: close`, that their kept connection ends. */
const FAREWELL_MILLISECONDS = 500;

/** Ends the service's connections on SIGTERM without losing a request: Nest stops listening when this has finished. */
@Injectable()
export class Connections implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly pending = new Set<ServerResponse>();
  private closing = false;

  constructor(private readonly host: HttpAdapterHost) {}

  onApplicationBootstrap(): void {
    const server: Server = this.host.httpAdapter.getHttpServer();
    server.keepAliveTimeout = KEEP_ALIVE_MILLISECONDS;
    server.prependListener('request', (_request, response) => this.track(server, response));
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.closing = true;
    for (const response of this.pending) sayFarewell(response);
    await sleep(FAREWELL_MILLISECONDS);
  }

  private track(server: Server, response: ServerResponse): void {
    this.pending.add(response);
    if (this.closing) sayFarewell(response);
    response.once('close', () => {
      this.pending.delete(response);
      // A response that had begun before SIGTERM leaves its connection open, and nothing else would close it.
      if (this.closing && !server.listening) setImmediate(() => server.closeIdleConnections());
    });
  }
}

function sayFarewell(response: ServerResponse): void {
  if (!response.headersSent) response.setHeader('Connection', 'close');
}
