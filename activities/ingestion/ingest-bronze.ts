import { sql } from 'kysely';
import { copyIn, copyOut } from '../../database/copy.ts';
import type { Connection } from '../../database/connect.ts';
import type { Session } from '../../database/session.ts';
import { attachPartition, createDetachedPartition, partitionName } from '../../database/versions.ts';
import { type ActivityDependencies, type Run, type RunReference, loadRun } from '../support/run.ts';
import { type StageAttempt, type StageResult, runStage } from '../support/stage.ts';
import type { Heartbeat } from '../support/with-heartbeat.ts';
import { type Chunk, planChunks } from './chunks.ts';

export interface BronzeResult extends StageResult {
  movies: number;
}

/** Two readers keep a source and a target process busy each; more only queue on two cores. */
const READERS = 2;

/**
 * Reads the source by COPY straight into the run's batch, chunk by chunk; a retry resumes at the chunks that
 * are missing. Types are loose enough for any dirt.
 */
export function ingestBronze(
  { connection, source }: ActivityDependencies,
  { run }: RunReference,
  { signal, report }: Heartbeat,
): Promise<BronzeResult> {
  return runStage(connection, { run, stage: 'bronze', signal }, async (attempt) => {
    const context = await loadRun(connection.db, run);
    const chunks = await planChunks(attempt, source);
    await attempt.write(async ({ db }) => {
      await createDetachedPartition(db, 'bronze.ratings', run);
      await createDetachedPartition(db, 'bronze.movies', run);
    });
    const finished = await attempt.finishedChunks();
    const waiting = chunks.filter(({ name }) => !finished.has(name));
    const tell = (): void =>
      report({
        step: 'reading the source, chunk',
        done: chunks.length - waiting.length,
        total: chunks.length,
      });
    const read = async (): Promise<void> => {
      for (let chunk = waiting.shift(); chunk !== undefined; chunk = waiting.shift()) {
        await readChunk(attempt, source, context, chunk);
        tell();
      }
    };
    await Promise.all(Array.from({ length: READERS }, read));
    return attempt.finish(async ({ db }) => {
      const rows = await attempt.finishedChunks(db);
      await attachPartition(db, 'bronze.ratings', run);
      await attachPartition(db, 'bronze.movies', run);
      const movies = rows.get('movies') ?? 0;
      return { rows: [...rows.values()].reduce((sum, count) => sum + count, 0) - movies, movies };
    });
  });
}

function readChunk(attempt: StageAttempt, source: Connection, context: Run, chunk: Chunk): Promise<void> {
  return attempt.writeChunk(chunk.name, async ({ client }: Session) => {
    const reader = await source.pool.connect();
    let broken = true;
    try {
      const query = sql`
        select ${sql.lit(context.run)}::integer, ${sql.lit(context.startedAt.toISOString())}::timestamptz,
               ${sql.raw(chunk.columns)}
        from ${sql.table(chunk.from)} ${sql.raw(chunk.where)}`.compile(source.db).sql;
      const rows = await copyIn(
        client,
        {
          table: partitionName(chunk.into, context.run),
          columns: ['_batch_id', '_ingested_at', ...chunk.targets],
          options: 'format binary',
        },
        copyOut(reader, query),
        { signal: attempt.signal },
      );
      broken = false;
      return rows;
    } finally {
      // A connection whose COPY was cut off in the middle cannot be used again.
      reader.release(broken);
    }
  });
}
