import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { createClient } from '@redis/client';
import pg from 'pg';
import { once } from '../once.js';
import { SETTINGS, type Settings } from '../settings.js';
import { migrate } from './schema.js';

/** A store that does not answer within this time counts as away. */
const PATIENCE_MILLISECONDS = 2_000;

export interface VisitCount {
  /** Counted by Redis. */
  readonly visits: number;
  /** Rows in Postgres. */
  readonly rows: number;
}

/** The service starts without its stores and uses them as soon as they are there. */
@Injectable()
export class Visits implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly logger = new Logger(Visits.name);
  private readonly redis;
  private readonly postgres;
  private readonly prepared;

  constructor(@Inject(SETTINGS) private readonly settings: Settings) {
    this.redis = settings.redisUrl ? redisClient(settings.redisUrl) : undefined;
    this.postgres = settings.databaseUrl ? postgresPool(settings.databaseUrl) : undefined;
    this.prepared = once(async () => this.postgres && migrate(this.postgres));
  }

  onApplicationBootstrap(): void {
    this.postgres?.on('error', (error) => this.logger.warn(`Postgres: ${error.message}`));
    this.redis?.on('error', (error: Error) => this.logger.warn(`Redis: ${error.message}`));
    // It keeps trying in the background; until it is connected, commands fail at once.
    this.redis?.connect().catch(() => {});
  }

  /** Not onModuleDestroy: that comes before the last requests have been answered. */
  async onApplicationShutdown(): Promise<void> {
    this.redis?.destroy();
    await this.postgres?.end();
  }

  async add(): Promise<VisitCount> {
    if (!this.redis || !this.postgres) throw new Error('REDIS_URL and DATABASE_URL have to be set.');
    const rows = await this.addRow(this.postgres).catch(becauseOf('Postgres'));
    const visits = await this.redis.incr('visits').catch(becauseOf('Redis'));
    return { visits, rows };
  }

  private async addRow(postgres: pg.Pool): Promise<number> {
    await this.prepared();
    await postgres.query('INSERT INTO visits (release) VALUES ($1)', [this.settings.release ?? null]);
    const { rows } = await postgres.query<{ count: number }>('SELECT count(*)::integer AS count FROM visits');
    return rows[0].count;
  }
}

function redisClient(url: string) {
  return createClient({
    url,
    disableOfflineQueue: true,
    socket: { connectTimeout: PATIENCE_MILLISECONDS },
    commandOptions: { timeout: PATIENCE_MILLISECONDS },
  });
}

function postgresPool(connectionString: string) {
  return new pg.Pool({
    connectionString,
    connectionTimeoutMillis: PATIENCE_MILLISECONDS,
    query_timeout: PATIENCE_MILLISECONDS,
  });
}

function becauseOf(store: string) {
  return (error: Error): never => {
    throw new Error(`${store}: ${error.message || error.name}`);
  };
}
