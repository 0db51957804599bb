import { randomBytes } from 'node:crypto';
import type { LabClock } from '../../model/clock.js';

const LIFETIME_MILLISECONDS = 12 * 3600 * 1000;

/** About the length of ECR's own passwords, which fill most of a header line. */
const PAYLOAD_BYTES = 1024;

/** The passwords that GetAuthorizationToken issues for the user `AWS`, each good for 12 hours of the lab's time. */
export class Tokens {
  readonly #expiries = new Map<string, number>();
  readonly #clock: LabClock;

  constructor(clock: LabClock) {
    this.#clock = clock;
  }

  issue(): { readonly password: string; readonly expiresAt: number } {
    const expiresAt = this.#clock.now() + LIFETIME_MILLISECONDS;
    const payload = randomBytes(PAYLOAD_BYTES).toString('base64');
    const content = { payload, version: '2', type: 'DATA_KEY', expiration: Math.floor(expiresAt / 1000) };
    const password = Buffer.from(JSON.stringify(content)).toString('base64');
    this.#expiries.set(password, expiresAt);
    return { password, expiresAt };
  }

  /** What an `Authorization: Basic` header is worth. */
  check(authorization: string | undefined): 'valid' | 'expired' | 'unknown' {
    const [, encoded = ''] = /^Basic\s+(\S+)$/i.exec(authorization ?? '') ?? [];
    const [, password = ''] = /^AWS:(.*)$/s.exec(Buffer.from(encoded, 'base64').toString()) ?? [];
    const expiresAt = this.#expiries.get(password);
    if (expiresAt === undefined) return 'unknown';
    return this.#clock.now() < expiresAt ? 'valid' : 'expired';
  }

  /** A fault: every login issued so far ends now. */
  expireAll(): void {
    for (const password of this.#expiries.keys()) this.#expiries.set(password, this.#clock.now());
  }
}
