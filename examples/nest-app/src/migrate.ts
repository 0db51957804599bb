/** `node dist/migrate.js`: brings the database up to date; a deploy runs it before the new version gets traffic. */
import pg from 'pg';
import { readSettings } from './settings.js';
import { migrate } from './visits/schema.js';

const { databaseUrl } = readSettings(process.env);
if (!databaseUrl) throw new Error('DATABASE_URL has to be set.');

const postgres = new pg.Pool({ connectionString: databaseUrl });
await migrate(postgres);
await postgres.end();
console.log('The database is up to date.');
