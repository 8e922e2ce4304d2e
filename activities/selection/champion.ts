import type { ApplicationFailure } from '@temporalio/common';
import { type ModelConfiguration, modelConfigurationSchema } from '../../config/settings.ts';
import type { Db } from '../../database/connect.ts';
import { terminalFailure } from '../support/failures.ts';

export interface Champion {
  /** Its key. */
  configuration: string;
  parameters: ModelConfiguration;
}

/** The configuration that serves; null before the first publish. */
export async function servingChampion(db: Db): Promise<Champion | null> {
  const row = await champions(db).where('retired_at', 'is', null).executeTakeFirst();
  return row === undefined ? null : read(row);
}

/** The configuration that served when a run came alive, at its start or by a rerun: what its twins are trained for. */
export async function championAtStart(db: Db, run: number): Promise<Champion | null> {
  const start = db.selectFrom('pipeline.runs').select('live_since').where('run', '=', run);
  const row = await champions(db)
    .where('since', '<=', start)
    .where((e) => e.or([e('retired_at', 'is', null), e('retired_at', '>', start)]))
    // Its successor's `since` is when the transaction began that retires it, which may have waited for its turn.
    .orderBy('champion_id')
    .limit(1)
    .executeTakeFirst();
  return row === undefined ? null : read(row);
}

/** A rollback has come in between: no twin of the new champion may have been trained, and what it moved is to stay. */
export function championChanged(
  run: number,
  stage: 'selection' | 'publish',
  from: string | null,
  to: string | null,
): ApplicationFailure {
  return terminalFailure(
    'ChampionChanged',
    `run ${run}, ${stage}: the champion has changed during the run, from ${from ?? 'none'} to ${to ?? 'none'}, as by a rollback; expected the one that it was measured against. What is served stays; start a new night`,
  );
}

function champions(db: Db) {
  return db.selectFrom('models.champions').select(['configuration', 'parameters']);
}

function read({ configuration, parameters }: { configuration: string; parameters: unknown }): Champion {
  return { configuration, parameters: modelConfigurationSchema.parse(parameters) };
}
