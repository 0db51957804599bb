import type pg from 'pg';

/** Any number: it is the name of a lock that only this service takes. */
const MIGRATION_LOCK = 7301;

/** Safe to run twice, and on several instances at once: CREATE TABLE IF NOT EXISTS alone is not. */
export async function migrate(postgres: pg.Pool): Promise<void> {
  const client = await postgres.connect();
  try {
    await client.query('BEGIN');
    await client.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
    await client.query(
      `CREATE TABLE IF NOT EXISTS visits (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL DEFAULT now(),
        release text
      )`,
    );
    await client.query('COMMIT');
  } finally {
    // Closes the connection, and with it whatever an error has left open.
    client.release(true);
  }
}
