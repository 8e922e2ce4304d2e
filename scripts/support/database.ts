import { type Connection, connect } from '../../database/connect.ts';
import { startStack } from '../../stack/index.ts';

/**
 * Gives a command its database: the one that `DATABASE_URL` names, that of a running local stack, or the local
 * one, brought up for as long as it is needed.
 */
export async function withDatabase<Result>(
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
  if (!url) return withDatabase(body);
  const source = connect({ url, applicationName: 'nightjar-loader', max: 2 });
  try {
    return await body(source);
  } finally {
    await source.close();
  }
}
