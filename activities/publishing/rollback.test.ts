import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ModelConfiguration } from '../../config/settings.ts';
import { connect } from '../../database/connect.ts';
import { findTarget, servedBefore } from '../../database/served-versions.ts';
import { configurationKey } from '../../recommender/index.ts';
import { type TestDatabase, createTestDatabase } from '../../test/support/database.ts';
import { closeRun, insertRun } from '../../test/support/runs.ts';
import { fillSource } from '../../test/support/source.ts';
import {
  SMALL,
  type Stages,
  createStages,
  evaluateNight,
  measureNight,
  prepareVersion,
  publishNight,
} from '../../test/support/stages.ts';
import type { SelectionResult } from '../selection/index.ts';

let database: TestDatabase;
let stages: Stages;
beforeAll(async () => {
  database = await createTestDatabase();
  stages = createStages(database);
  await fillSource(database, 30, 20);
});
afterAll(() => database.drop());

const asOfOf = (night: number): string => new Date(Date.UTC(2026, 1, night)).toISOString();
const overrides = [...SMALL, 'publishing.keepVersions=3'];

const als = (rank: number): ModelConfiguration => ({
  family: 'als',
  rank,
  iterations: 4,
  regularization: 0.1,
  seed: 42,
});

/** A night up to its publish whose challenger of this rank takes the champion's place, whatever was measured. */
async function decidePromotion(night: number, rank: number, from: string): Promise<number> {
  const run = await insertRun(database, { asOf: asOfOf(night), overrides });
  await evaluateNight(stages, run);
  const parameters = als(rank);
  const decided: Partial<SelectionResult> = {
    decision: 'promotion',
    serve: true,
    configuration: configurationKey(parameters),
    parameters,
    modelVersion: `als-rank${rank}-run${run}`,
    from,
    reason: 'decided by this test',
  };
  await database.pool.query(
    `update pipeline.stages set result = result || $2 where run = $1 and stage = 'select'`,
    [run, JSON.stringify(decided)],
  );
  await database.pool.query(
    'update models.metadata set configuration = $2, rank = $3, model_version = $4 where run = $1',
    [run, decided.configuration, rank, decided.modelVersion],
  );
  await prepareVersion(stages, run);
  return run;
}

async function promote(night: number, rank: number): Promise<number> {
  const { champion } = await standing();
  const run = await decidePromotion(night, rank, champion);
  await stages.publishVersion({ run });
  await stages.retireVersions({ run });
  await closeRun(database, run);
  return run;
}

/** Everything that a rollback may move. */
async function standing() {
  const { db } = database;
  const pointer = await db.selectFrom('serving.pointer').selectAll().executeTakeFirstOrThrow();
  const champions = await db
    .selectFrom('models.champions')
    .select('configuration')
    .where('retired_at', 'is', null)
    .execute();
  const served = await db
    .selectFrom('models.metadata')
    .select('run')
    .where('status', '=', 'champion')
    .execute();
  const decisions = await db
    .selectFrom('models.promotions')
    .selectAll()
    .orderBy('promotion_id', 'desc')
    .execute();
  expect(champions).toHaveLength(1);
  expect(served).toHaveLength(1);
  return {
    model: pointer.model_run,
    data: pointer.data_run,
    champion: champions[0].configuration,
    status: served[0].run,
    decisions,
  };
}

let asked = 0;
async function rollBack(to?: string, executionId = `test-${asked++}`) {
  const { run, served } = await stages.verifyVersion({ to });
  return stages.restoreVersion({
    run,
    served,
    reason: 'it looks odd',
    actor: 'ada',
    workflowId: 'rollback',
    executionId,
  });
}

test('what was served before is what a rollback has not left behind', () => {
  const publish = (run: number) => ({ run, rollback: false });
  const back = (run: number) => ({ run, rollback: true });
  expect(servedBefore([])).toEqual([]);
  expect(servedBefore([publish(1)])).toEqual([]);
  expect(servedBefore([publish(1), publish(2), publish(3)])).toEqual([2, 1]);
  expect(servedBefore([publish(1), publish(2), publish(3), back(2)])).toEqual([1]);
  expect(servedBefore([publish(1), publish(2), publish(3), back(1), publish(4)])).toEqual([1]);
  // Forward again to what was left: from there the way back is as it was walked.
  expect(servedBefore([publish(1), publish(2), back(1), back(2)])).toEqual([1]);
});

test('before anything is published there is nothing to roll back', async () => {
  await expect(rollBack()).rejects.toThrow('nothing is published yet');
});

describe('after three nights, the last of which promoted another configuration', () => {
  let first: number;
  let second: number;
  let third: number;
  let championBefore: string;
  beforeAll(async () => {
    first = await publishNight(database, asOfOf(1), overrides);
    second = await publishNight(database, asOfOf(2), overrides);
    championBefore = (await standing()).champion;
    third = await promote(3, championBefore === configurationKey(als(3)) ? 4 : 3);
  });

  test('an unknown version and one whose rows are not as recorded are refused, and nothing changes', async () => {
    const before = await standing();
    await expect(rollBack('99')).rejects.toThrow(`--to 99: there is no such version; kept are ${third} (`);
    await expect(rollBack('als-rank9-run1')).rejects.toThrow('there is no such version');
    const spoilt: [string, string, string][] = [
      [
        `delete from store.similar_movies where run = $1 and rank = 1`,
        'store.similar_movies has',
        'are recorded',
      ],
      [`delete from store.batch_recs where run = $1`, 'store.batch_recs is empty', 'stays'],
      [
        `update store.item_factors set factors[1] = 'NaN' where run = $1`,
        'of store.item_factors are not finite',
        'stays',
      ],
      [
        `update store.user_factors set factors = factors || 1::real where run = $1`,
        'rows of store.user_factors are not',
        'wide',
      ],
    ];
    for (const [damage, says, too] of spoilt) {
      // Put back by hand: verification opens transactions of its own and would not see an open one's.
      await database.pool.query(`
        create table public.kept_r as select * from store.batch_recs where run = ${second};
        create table public.kept_s as select * from store.similar_movies where run = ${second};
        create table public.kept_i as select * from store.item_factors where run = ${second};
        create table public.kept_u as select * from store.user_factors where run = ${second}`);
      await database.pool.query(damage, [second]);
      await expect(rollBack(String(second))).rejects.toMatchObject({
        type: 'RollbackRefused',
        message: expect.stringMatching(new RegExp(`${says}.*${too}`)) as string,
      });
      for (const [copy, table] of [
        ['kept_r', 'batch_recs'],
        ['kept_s', 'similar_movies'],
        ['kept_i', 'item_factors'],
        ['kept_u', 'user_factors'],
      ]) {
        await database.pool.query(`
          delete from store.${table} where run = ${second};
          insert into store.${table} select * from public.${copy};
          drop table public.${copy}`);
      }
    }
    expect(await standing()).toEqual(before);
  });

  test('rolls back to the version before: model, champion, statuses and decision move, data stays', async () => {
    const before = await standing();
    expect(before).toMatchObject({ model: third, data: third, status: third });
    const moved = await rollBack();
    expect(moved).toMatchObject({
      changed: true,
      run: second,
      previous_run: third,
      champion: championBefore,
      reason: 'it looks odd',
      actor: 'ada',
    });
    const after = await standing();
    expect(after).toMatchObject({ model: second, data: third, champion: championBefore, status: second });
    expect(after.decisions).toHaveLength(before.decisions.length + 1);
    expect(after.decisions[0]).toMatchObject({
      run: second,
      decision: 'rollback',
      from_configuration: before.champion,
      to_configuration: championBefore,
      reason: 'it looks odd',
      actor: 'ada',
      numbers: { from_run: third, to_run: second },
    });
    await expect(
      database.pool.query(`update models.promotions set reason = 'x' where decision = 'rollback'`),
    ).rejects.toThrow('append-only');
  });

  test('to what is served it says so and changes nothing', async () => {
    const before = await standing();
    const said = await rollBack(String(second));
    expect(said.changed).toBe(false);
    expect(said.note).toContain('is what is served: nothing changed');
    expect(await standing()).toEqual(before);
  });

  test('an attempt whose completion was lost finds what it did', async () => {
    const { run, served } = await stages.verifyVersion({ to: String(third) });
    const input = { run, served, reason: 'r', actor: 'a', workflowId: 'w', executionId: 'lost' };
    const moved = await stages.restoreVersion(input);
    const after = await standing();
    expect(await stages.restoreVersion(input)).toEqual(moved);
    expect(await standing()).toEqual(after);
    await rollBack(String(second));
  });

  test('again without a target it goes on backwards, and then there is none', async () => {
    expect(await rollBack()).toMatchObject({ run: first, previous_run: second });
    await expect(rollBack()).rejects.toThrow('no version that was served before');
    await rollBack(String(second));
  });

  test('two at the same moment: one moves, the other is refused', async () => {
    const wanted = await Promise.all([first, third].map((run) => stages.verifyVersion({ to: String(run) })));
    const before = await standing();
    const ended = await Promise.allSettled(
      wanted.map(({ run, served }, at) =>
        stages.restoreVersion({
          run,
          served,
          reason: 'r',
          actor: 'a',
          workflowId: 'both',
          executionId: String(at),
        }),
      ),
    );
    expect(ended.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const refusal = ended.find((one) => one.status === 'rejected');
    expect(refusal?.reason).toMatchObject({ type: 'RollbackRefused' });
    expect(String(refusal?.reason)).toContain('has been served since it was asked for');
    const after = await standing();
    expect(after.decisions).toHaveLength(before.decisions.length + 1);
    await rollBack(String(second));
  });

  test('what was served when it was asked for is no longer: refused', async () => {
    const before = await standing();
    const { run, served } = await stages.verifyVersion({ to: String(first), from: third });
    const input = { run, served, reason: 'r', actor: 'a', workflowId: 'w', executionId: 'late' };
    await expect(stages.restoreVersion(input)).rejects.toMatchObject({ type: 'RollbackRefused' });
    expect(await standing()).toEqual(before);
  });

  test('a night that was decided against another champion is not published over a rollback', async () => {
    const { champion } = await standing();
    const other = champion === configurationKey(als(3)) ? 4 : 3;
    const run = await decidePromotion(4, other, configurationKey(als(other)));
    await database.pool.query(
      `update pipeline.stages set result = result || '{"decision": "refresh"}' where run = $1 and stage = 'select'`,
      [run],
    );
    const before = await standing();
    await expect(stages.publishVersion({ run })).rejects.toMatchObject({ type: 'ChampionChanged' });
    expect(await standing()).toEqual(before);
    await closeRun(database, run, 'failed');
  });

  test('a rollback in the middle of a night, before its decision, ends it in one clear sentence', async () => {
    const { champion, model } = await standing();
    const run = await insertRun(database, { asOf: asOfOf(4), overrides });
    await measureNight(stages, run);
    const moved = await rollBack(String(third));
    expect(moved.champion).not.toBe(champion);
    const after = await standing();
    // Whether its twin is there, as that of a challenger, or not.
    await expect(stages.selectModel({ run })).rejects.toMatchObject({
      type: 'ChampionChanged',
      nonRetryable: true,
      message: `run ${run}, selection: the champion has changed during the run, from ${champion} to ${moved.champion}, as by a rollback; expected the one that it was measured against. What is served stays; start a new night`,
    });
    expect(await standing()).toEqual(after);
    await closeRun(database, run, 'failed');
    // The next night is decided against the new champion.
    const next = await insertRun(database, { asOf: asOfOf(4), overrides });
    await evaluateNight(stages, next);
    await closeRun(database, next, 'failed');
    await rollBack(String(model));
  });

  test('two promotions at the same moment: one champion, one clear refusal', async () => {
    // The ledger has one live run at a time. Even where two are: the pointer's lock and the champion decide.
    await database.pool.query('drop index pipeline.runs_one_live; drop index pipeline.runs_one_per_as_of');
    const { champion } = await standing();
    // Neither is what any night of this file may have made champion: to move there is to replace it.
    const runs = [await decidePromotion(5, 7, champion), await decidePromotion(6, 8, champion)];
    // Of one as-of, so that it is not what refuses either.
    await database.pool.query('update pipeline.runs set as_of = $2 where run = $1', [runs[0], asOfOf(6)]);
    const before = await standing();
    const ended = await Promise.allSettled(runs.map((run) => stages.publishVersion({ run })));
    const published = runs.filter((_, at) => ended[at].status === 'fulfilled');
    expect(published).toHaveLength(1);
    const refusal = ended.find((one) => one.status === 'rejected');
    expect(refusal?.reason).toMatchObject({ type: 'ChampionChanged' });
    expect(String(refusal?.reason)).toContain(`the champion has changed during the run, from ${champion} to`);
    const after = await standing();
    expect(after).toMatchObject({ model: published[0], status: published[0] });
    expect(after.decisions).toHaveLength(before.decisions.length + 1);
    for (const run of runs) await closeRun(database, run, run === published[0] ? 'success' : 'failed');
  });

  test('what was rolled back to outlives what it replaced', async () => {
    await rollBack(String(first));
    const next = await publishNight(database, asOfOf(7), overrides);
    const { db } = database;
    const kept = await db
      .selectFrom('serving.versions')
      .select('run')
      .where('retired_at', 'is', null)
      .orderBy('served_at', 'desc')
      .execute();
    expect(kept.map(({ run }) => run).slice(0, 2)).toEqual([next, first]);
    expect(kept).toHaveLength(3);
    // And it is what a rollback without a target goes back to.
    expect(await findTarget(db, undefined)).toMatchObject({ target: { run: first } });
    await expect(rollBack(String(third))).rejects.toThrow('was retired at');
  });

  test('whoever was deleted in the source is no damage to a kept version', async () => {
    await database.pool.query('delete from movielens.ratings where user_id = 2');
    await publishNight(database, asOfOf(8), overrides);
    expect(await rollBack(String(first))).toMatchObject({ changed: true, run: first });
  });
});

test('readers that poll through rollbacks see never an error, an empty answer or two versions', async () => {
  const { db } = database;
  const kept = await db
    .selectFrom('serving.versions')
    .select(['run', 'model_version'])
    .where('retired_at', 'is', null)
    .execute();
  const reader = connect({ url: database.url, applicationName: 'nightjar-reader', max: 2 });
  const seen = new Set<string>();
  const troubles: string[] = [];
  const reading = new AbortController();
  const loop = async (text: string): Promise<void> => {
    while (!reading.signal.aborted) {
      try {
        const { rows } = await reader.pool.query<{ seen: string[] | null }>(text);
        if (rows[0].seen === null) troubles.push(`nothing: ${text}`);
        else if (rows[0].seen.length !== 1) troubles.push(`several: ${rows[0].seen.join(', ')}`);
        else seen.add(rows[0].seen[0]);
      } catch (error) {
        troubles.push(String(error));
      }
    }
  };
  const loops = [
    loop(`
      select array_agg(distinct b.model_version || ' ' || s.model_version || ' ' || (
               select count(distinct json_array_length(features_json::json)) from models.item_factors)) as seen
      from recommendations.batch_recs b
      join recommendations.similar_movies s on s.movie_id = b.movie_id and s.rank = 1
      join models.user_factors u using (user_id)`),
    loop(`
      select array_agg(distinct f.model_version || ' ' || f.model_version || ' 1') as seen
      from generate_series(3, 8) u, recommendations.for_user(u::integer, 10) f`),
  ];
  try {
    for (let turn = 0; turn < 12; turn++) {
      await rollBack(String(kept[turn % kept.length].run));
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  } finally {
    reading.abort();
    await Promise.all(loops);
    await reader.close();
  }
  expect(troubles).toEqual([]);
  expect([...seen].sort()).toEqual(
    kept.map(({ model_version }) => `${model_version} ${model_version} 1`).sort(),
  );
});
