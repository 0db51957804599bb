import { randomBytes } from 'node:crypto';
import type { Principal } from '../wire/service.js';

/** Temporary credentials as STS and the metadata service hand them out. */
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiration: Date;
  readonly roleName: string;
}

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

  issue(arn: string): Credentials {
    const accessKeyId = `ASIA${randomBytes(8).toString('hex').toUpperCase()}`;
    this.#principals.set(accessKeyId, { accessKeyId, arn, userId: `AROA${accessKeyId.slice(4)}` });
    return {
      accessKeyId,
      secretAccessKey: randomBytes(30).toString('base64'),
      sessionToken: randomBytes(60).toString('base64'),
      expiration: new Date(Date.now() + LIFETIME_MILLISECONDS),
      roleName: arn.split('/')[1] ?? 'role',
    };
  }

  get(accessKeyId: string): Principal | undefined {
    return this.#principals.get(accessKeyId);
  }
}
