import http from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** Of real time: traffic is real, only what the control plane counts runs on the lab's clock. */
export interface TrafficTimeouts {
  /** From the load balancer to a target; 10 s on AWS. */
  readonly connectMilliseconds: number;
  /** `idle_timeout.timeout_seconds`; 60 s by default on AWS. */
  readonly idleMilliseconds: number;
}

export const AWS_TRAFFIC_TIMEOUTS: TrafficTimeouts = { connectMilliseconds: 10_000, idleMilliseconds: 60_000 };

/** Idle connections kept to one target; what is above it is closed after use. */
const MAX_IDLE_CONNECTIONS = 256;

/** Where a target's requests go: its address and its own pool of connections. */
export interface Upstream {
  readonly host: string;
  readonly port: number;
  readonly agent: http.Agent;
  /** Connections that have left the pool by changing to another protocol. */
  readonly upgraded: Set<Duplex>;
}

/** The upstreams of a load balancer by key (target group and target). */
export class Upstreams {
  readonly #upstreams = new Map<string, Upstream>();
  readonly #timeouts: TrafficTimeouts;

  constructor(timeouts: TrafficTimeouts) {
    this.#timeouts = timeouts;
  }

  get(key: string, address: { readonly host: string; readonly port: number }): Upstream {
    const known = this.#upstreams.get(key);
    if (known && known.host === address.host && known.port === address.port) return known;
    this.retire(key);
    const agent = new TargetAgent({ keepAlive: true, maxFreeSockets: MAX_IDLE_CONNECTIONS, scheduling: 'lifo' });
    agent.idleMilliseconds = this.#timeouts.idleMilliseconds;
    const upstream = { ...address, agent, upgraded: new Set<Duplex>() };
    this.#upstreams.set(key, upstream);
    return upstream;
  }

  /** Ends what the target still answers, as AWS does when the deregistration delay is over, and closes its connections. */
  retire(key: string): void {
    const upstream = this.#upstreams.get(key);
    if (!upstream) return;
    this.#upstreams.delete(key);
    for (const connection of upstream.upgraded) connection.destroy();
    upstream.agent.destroy();
  }

  close(): void {
    for (const key of [...this.#upstreams.keys()]) this.retire(key);
  }
}

/**
 * Keeps a connection for the load balancer's own idle timeout, whatever `Keep-Alive: timeout=` the target announces: an
 * Application Load Balancer does so too, and answers 502 if the target closes first (user guide, troubleshooting 502).
 */
class TargetAgent extends http.Agent {
  idleMilliseconds = AWS_TRAFFIC_TIMEOUTS.idleMilliseconds;

  override keepSocketAlive(socket: Duplex): boolean {
    if (!(socket instanceof Socket)) return false;
    socket.setTimeout(this.idleMilliseconds);
    socket.unref();
    return true;
  }
}
