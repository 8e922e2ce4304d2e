import { sql } from 'kysely';
import type { Connection, Db } from '../../database/connect.ts';
import { transaction } from '../../database/session.ts';
import { servingChampion } from '../selection/champion.ts';
import { readSelection } from '../selection/result.ts';
import { terminalFailure } from '../support/failures.ts';
import { lockPointer, markServed, replaceChampion } from './pointer.ts';
import { assertAttached } from './verify-version.ts';

export interface RestoreVersionInput {
  /** The verified version. */
  run: number;
  /** What was served when it was asked for. */
  served: number;
  reason: string;
  actor: string;
  workflowId: string;
  executionId: string;
}

export interface RollbackResult {
  /** False where the version was served already: then nothing was written. */
  changed: boolean;
  run: number;
  model_version: string;
  previous_run: number;
  previous_model_version: string;
  /** The configuration that serves: the next night trains it again. */
  champion: string;
  reason: string;
  actor: string;
  note: string;
}

/**
 * Shows a kept version again. The pointer's model, the champion, the statuses of the versions and the decision's row
 * move in one transaction, in turn with publishers; features, trending and movie statistics stay.
 * @throws RollbackRefused where what is served has changed since, InvalidRequest where the version was retired since
 */
export function restoreVersion(connection: Connection, input: RestoreVersionInput): Promise<RollbackResult> {
  const request = `${input.workflowId}/${input.executionId}`;
  return transaction(connection, async ({ db }) => {
    await lockPointer(db);
    const { served, target } = await readVersions(db, input);
    const result = (changed: boolean, previous: Version, note: string): RollbackResult => ({
      changed,
      run: target.run,
      model_version: target.model_version,
      previous_run: previous.run,
      previous_model_version: previous.model_version,
      champion: target.configuration,
      reason: input.reason,
      actor: input.actor,
      note,
    });
    const done = await db
      .selectFrom('models.promotions')
      .select('numbers')
      .where('request', '=', request)
      .executeTakeFirst();
    // A lost completion: this workflow has moved it already.
    if (done !== undefined) {
      const previous = await versionOf(db, (done.numbers as { from_run: number }).from_run);
      return result(true, previous, movedNote(previous, target));
    }
    if (served.run === target.run)
      return result(false, served, `${target.model_version} is what is served: nothing changed`);
    if (served.run !== input.served) {
      throw terminalFailure(
        'RollbackRefused',
        `rollback to run ${target.run}: run ${served.run} (${served.model_version}) has been served since it was asked for, instead of run ${input.served}; it stays, look at npm run pipeline -- versions and ask again`,
      );
    }
    if (target.retired_at !== null) {
      throw terminalFailure(
        'InvalidRequest',
        `rollback to run ${target.run}: ${target.model_version} has just been retired; what is served stays`,
      );
    }
    await assertAttached(db, target);
    const from = await servingChampion(db);
    await db
      .updateTable('serving.pointer')
      .set({ model_run: target.run, changed_at: sql`clock_timestamp()` })
      .execute();
    await db
      .updateTable('serving.versions')
      .set({ served_at: sql`clock_timestamp()` })
      .where('run', '=', target.run)
      .execute();
    await moveChampion(db, target, from?.configuration ?? null);
    await db
      .insertInto('models.promotions')
      .values({
        run: target.run,
        decision: 'rollback',
        from_configuration: from?.configuration ?? null,
        to_configuration: target.configuration,
        reason: input.reason,
        numbers: JSON.stringify({
          from_run: served.run,
          from_rmse: served.rmse,
          to_run: target.run,
          to_rmse: target.rmse,
        }),
        actor: input.actor,
        decided_at: sql`clock_timestamp()`,
        request,
      })
      .execute();
    return result(true, served, movedNote(served, target));
  });
}

type Version = Awaited<ReturnType<typeof versionOf>>;

function movedNote(from: Version, to: Version): string {
  return `${from.model_version} → ${to.model_version}`;
}

async function readVersions(db: Db, { run }: RestoreVersionInput) {
  const { model_run } = await db.selectFrom('serving.pointer').select('model_run').executeTakeFirstOrThrow();
  return { served: await versionOf(db, model_run), target: await versionOf(db, run) };
}

function versionOf(db: Db, run: number) {
  return db
    .selectFrom('serving.versions as v')
    .innerJoin('models.metadata as m', 'm.run', 'v.run')
    .where('v.run', '=', run)
    .select(['v.run', 'v.model_version', 'v.retired_at', 'm.configuration', 'm.rmse'])
    .executeTakeFirstOrThrow();
}

/** The champion is the configuration of the version that is served: where it was another one's, it changes. */
async function moveChampion(db: Db, { run, configuration }: Version, from: string | null): Promise<void> {
  if (from !== configuration) {
    const { parameters } = await readSelection(db, run);
    await replaceChampion(db, run, configuration, parameters);
  }
  await markServed(db, run);
}
