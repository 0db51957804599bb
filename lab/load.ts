import { Agent, request } from 'node:http';

export interface LoadOptions {
  readonly url: string;
  readonly path: string;
  readonly requestsPerSecond: number;
  /** Connections are kept open between requests, as browsers do; otherwise each request opens its own. */
  readonly keepAlive: boolean;
  readonly timeoutMilliseconds?: number;
}

/** What became of a steady load. Times are in milliseconds. */
export interface LoadResult {
  readonly requests: number;
  /** No answer in time, a broken connection, or a 5xx. */
  readonly lost: number;
  /** Longest time between two good answers. */
  readonly longestGap: number;
  readonly failures: { readonly [what: string]: number };
}

const TIMEOUT_MILLISECONDS = 2_000;
const TICK_MILLISECONDS = 5;

/** Sends requests at a steady rate, whether or not earlier ones were answered, until it is stopped. */
export function startLoad(options: LoadOptions): { stop(): Promise<LoadResult> } {
  const agent = new Agent({ keepAlive: options.keepAlive, maxSockets: Number.POSITIVE_INFINITY });
  const open = new Set<Promise<void>>();
  const failures: { [what: string]: number } = {};
  let requests = 0;
  let lastGood = Date.now();
  let longestGap = 0;

  const settle = (failure: string | undefined) => {
    if (failure !== undefined) {
      failures[failure] = (failures[failure] ?? 0) + 1;
      return;
    }
    longestGap = Math.max(longestGap, Date.now() - lastGood);
    lastGood = Date.now();
  };
  const send = () => {
    requests += 1;
    const sent = sendOne(options, agent).then(settle);
    open.add(sent);
    void sent.finally(() => open.delete(sent));
  };
  // As many as are due at each tick: a timer that comes late must not make the load lighter.
  const startedAt = Date.now();
  const timer = setInterval(() => {
    const due = ((Date.now() - startedAt) / 1000) * options.requestsPerSecond;
    while (requests < due) send();
  }, TICK_MILLISECONDS);

  return {
    stop: async () => {
      clearInterval(timer);
      await Promise.all(open);
      agent.destroy();
      const lost = Object.values(failures).reduce((sum, count) => sum + count, 0);
      longestGap = Math.max(longestGap, Date.now() - lastGood);
      return { requests, lost, longestGap, failures };
    },
  };
}

/** Resolves to what went wrong, or undefined for a good answer. */
function sendOne(
  { url, path, timeoutMilliseconds = TIMEOUT_MILLISECONDS }: LoadOptions,
  agent: Agent,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const sent = request(new URL(path, url), { agent, timeout: timeoutMilliseconds }, (response) => {
      response.resume();
      const status = response.statusCode ?? 0;
      response.on('end', () => resolve(status >= 500 ? `HTTP ${status}` : undefined));
      response.on('error', (error) => resolve(error.message));
    });
    sent.on('timeout', () => sent.destroy(new Error('timeout')));
    sent.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    sent.end();
  });
}
