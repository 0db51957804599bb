import { randomBytes } from 'node:crypto';
import type { RoleCredentials } from '../agent/hub-protocol.js';
import type { Principal } from '../wire/service.js';

/** Role credentials on EC2 live about six hours; the metadata service renews them before. */
const LIFETIME_MILLISECONDS = 6 * 3_600_000;

/** Whoever may call the lab's AWS: the runner's role and a session of the hosts' role for each instance. */
export class Principals {
  readonly #principals = new Map<string, Principal>();
  readonly #account: string;

  constructor(account: string) {
    this.#account = account;
  }

  /** The lab itself, when it sets things up. */
  get owner(): Principal {
    return { accessKeyId: 'lab', arn: `arn:aws:iam::${this.#account}:root`, userId: this.#account };
  }

  /** Credentials for a role or a session of one. */
  issue(arn: string): RoleCredentials {
    const accessKeyId = `ASIA${randomBytes(8).toString('hex').toUpperCase()}`;
    this.#principals.set(accessKeyId, { accessKeyId, arn, userId: `AROA${accessKeyId.slice(4)}` });
    return {
      accessKeyId,
      secretAccessKey: randomBytes(30).toString('base64'),
      sessionToken: randomBytes(60).toString('base64'),
      expiresAt: Date.now() + LIFETIME_MILLISECONDS,
      role: arn.split('/')[1] ?? 'role',
    };
  }

  get(accessKeyId: string): Principal | undefined {
    return this.#principals.get(accessKeyId);
  }
}
