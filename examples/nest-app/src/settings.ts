/** For trying out what happens when a deploy goes wrong: a version that fails its health check, dies, or starts slowly. */
export type Break = '' | 'health' | 'crash' | 'slow';

export interface Settings {
  readonly port: number;
  readonly version: string;
  readonly commit?: string;
  readonly release?: string;
  readonly slot?: string;
  readonly break: Break;
  readonly redisUrl?: string;
  readonly databaseUrl?: string;
  readonly mongoUrl?: string;
}

export const SETTINGS = Symbol('settings');

export function readSettings(env: NodeJS.ProcessEnv): Settings {
  return {
    port: Number(env.PORT ?? 3000),
    version: env.APP_VERSION ?? 'development',
    commit: env.DEPLOY_COMMIT,
    release: env.DEPLOY_RELEASE,
    slot: env.DEPLOY_SLOT,
    break: readBreak(env.BREAK ?? ''),
    redisUrl: env.REDIS_URL,
    databaseUrl: env.DATABASE_URL,
    mongoUrl: env.MONGO_URL,
  };
}

function readBreak(value: string): Break {
  if (value === '' || value === 'health' || value === 'crash' || value === 'slow') return value;
  throw new Error(`BREAK is "${value}"; it can be health, crash, slow or empty.`);
}
