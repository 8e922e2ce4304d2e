import { type Connection, assertAnswers, connect } from '../../database/connect.ts';
import { databaseId } from '../../database/readers.ts';
import { startStack } from '../../stack/index.ts';

/**
 * Gives a command its database: the one that `DATABASE_URL` names, that of a running local stack, or the local
 * one, brought up for as long as it is needed.
 */
export async function withAnyDatabase<Result>(
  body: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  const stack = await startStack({ temporal: false, log: () => undefined });
  if (stack.databaseUrl === null) throw new Error('no database');
  const connection = connect({ url: stack.databaseUrl, applicationName: 'nightjar-script', max: 2 });
  try {
    return await body(connection);
  } finally {
    await connection.close();
    await stack.stop();
  }
}

/** Gives a loading command the source: `SOURCE_DATABASE_URL`, else the pipeline's own database. */
export async function withSource<Result>(body: (source: Connection) => Promise<Result>): Promise<Result> {
  const url = process.env.SOURCE_DATABASE_URL;
  if (!url) return withAnyDatabase(body);
  await assertAnswers('SOURCE_DATABASE_URL', url);
  const source = connect({ url, applicationName: 'nightjar-loader', max: 2 });
  try {
    return await body(source);
  } finally {
    await source.close();
  }
}

/**
 * The same for a command that looks at what nights have made.
 * @throws where none has run on that database
 */
export function withDatabase<Result>(body: (connection: Connection) => Promise<Result>): Promise<Result> {
  return withAnyDatabase(async (connection) => {
    const { rowCount } = await connection.pool.query(
      `select where to_regclass('serving.pointer') is not null`,
    );
    if (rowCount === 0) throw new Error('nothing has run on this database yet: npm run nightly');
    return body(connection);
  });
}

/** Runs `body` on a connection of its own to the database at `url`. */
export async function withConnection<Result>(
  url: string,
  body: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  const connection = connect({ url, applicationName: 'nightjar-script', max: 1 });
  try {
    return await body(connection);
  } finally {
    await connection.close();
  }
}

/**
 * Id of the database at `url`, by which a worker knows whether it is meant.
 * @throws where no worker has ever been at work on it
 */
export function readDatabaseId(url: string): Promise<string> {
  return withConnection(url, ({ db }) => databaseId(db)).catch((cause: unknown) => {
    const UNDEFINED_TABLE = '42P01';
    if ((cause as { code?: unknown }).code !== UNDEFINED_TABLE) throw cause;
    throw new Error(
      'no worker has been at work on this database yet: start one that has the same DATABASE_URL',
      { cause },
    );
  });
}
