import http from 'node:http';
import https from 'node:https';
import type { LabClock } from '../model/clock.js';
import type { CheckResult } from './target-health.js';

/** One health check, as the target group's settings describe it. */
export interface Check {
  readonly protocol: 'HTTP' | 'HTTPS';
  /** Where the lab reaches the target; the target sees `hostHeader`, its own private IP and port. */
  readonly host: string;
  readonly port: number;
  readonly hostHeader: string;
  readonly path: string;
  readonly matcher: string;
  /** Of the lab's clock. */
  readonly timeoutMilliseconds: number;
}

/** Sends one check and always resolves. A simulation puts its own in the place of `sendCheck`. */
export type SendCheck = (check: Check, clock: LabClock) => Promise<CheckResult>;

/**
 * A check over HTTP as an Application Load Balancer makes it: GET, `User-Agent: ELB-HealthChecker/2.0`, `Host` with the
 * private IP and the port, a new connection that is closed afterwards, redirects not followed, any certificate accepted.
 */
export const sendCheck: SendCheck = (check, clock) =>
  new Promise((resolve) => {
    const request = send(check);
    const finish = (result: CheckResult) => {
      stopTimer();
      resolve(result);
      request.destroy();
    };
    const stopTimer = clock.after(check.timeoutMilliseconds, () => finish({ kind: 'timeout' }));
    request.on('response', ({ statusCode = 0 }) =>
      finish(matches(check.matcher, statusCode) ? { kind: 'pass' } : { kind: 'code', status: statusCode }),
    );
    // A switch of protocols can't be a passed check; without this listener Node would report no status at all.
    request.on('upgrade', ({ statusCode = 0 }) => finish({ kind: 'code', status: statusCode }));
    request.on('error', (error) => finish(isTimeout(error) ? { kind: 'timeout' } : { kind: 'failed' }));
    request.end();
  });

function send(check: Check): http.ClientRequest {
  const options = {
    host: check.host,
    port: check.port,
    path: check.path,
    agent: false as const,
    headers: {
      Host: check.hostHeader,
      Connection: 'close',
      'User-Agent': 'ELB-HealthChecker/2.0',
      'Accept-Encoding': 'gzip, compressed',
    },
  };
  return check.protocol === 'HTTPS'
    ? https.request({ ...options, rejectUnauthorized: false })
    : http.request({ ...options });
}

function isTimeout(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ETIMEDOUT';
}

/** Whether a status satisfies a matcher of the forms `200`, `200,202` and `200-299`. */
export function matches(matcher: string, status: number): boolean {
  return matcher.split(',').some((part) => {
    const [from = '', to = from] = part.trim().split('-');
    return status >= Number(from) && status <= Number(to);
  });
}
