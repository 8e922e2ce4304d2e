import { type WorkflowHandle, WorkflowFailedError } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generateRatings } from '../data/generate.ts';
import { importMovieLens } from '../data/import-movielens.ts';
import { outcomeOf, startNight } from '../scripts/support/start-night.ts';
import type { NightlyResult } from '../workflows/contracts.ts';
import { NIGHT_EXECUTION_TIMEOUT } from '../workflows/timeouts.ts';
import { MOVIELENS, hasMovieLens } from './support/movielens.ts';
import { type NightTest, startNightTest } from './support/temporal.ts';

let night: NightTest;
beforeAll(async () => {
  night = await startNightTest();
  if (hasMovieLens) await importMovieLens(night.database, MOVIELENS);
  else await generateRatings(night.database, { ratings: 20_000, seed: 42, end: new Date('2026-01-31') });
});
afterAll(() => night.close());

const request = (asOf: string, overrides: string[] = []) => ({ asOf, profile: 'small', overrides });

async function run(asOf: string, overrides?: string[]): Promise<NightlyResult> {
  const handle = await startNight(night.client, request(asOf, overrides));
  return outcomeOf(handle, handle.result());
}

const count = async (table: string): Promise<number> => {
  const { rows } = await night.database.pool.query<{ rows: number }>(`select count(*) as rows from ${table}`);
  return rows[0].rows;
};

type ScheduledActivity = temporal.api.history.v1.IActivityTaskScheduledEventAttributes;
interface Histories {
  events: number;
  /** Bytes of the largest payload. */
  largest: number;
  activities: ScheduledActivity[];
}

/** Every event of a workflow and of its children. */
async function historyOf(handle: WorkflowHandle): Promise<Histories> {
  const { events } = await handle.fetchHistory();
  const activities = (events ?? []).flatMap(
    ({ activityTaskScheduledEventAttributes: activity }) => activity ?? [],
  );
  const children = (events ?? []).flatMap(({ childWorkflowExecutionStartedEventAttributes: child }) =>
    child?.workflowExecution?.workflowId ? [child.workflowExecution.workflowId] : [],
  );
  let largest = 0;
  // A payload is the only thing in an event that can be large.
  const visit = (value: unknown): void => {
    if (value instanceof Uint8Array) largest = Math.max(largest, value.length);
    else if (typeof value === 'object' && value !== null) Object.values(value).forEach(visit);
  };
  visit(events);
  const below = await Promise.all(children.map((id) => historyOf(night.client.workflow.getHandle(id))));
  return {
    events: below.reduce((sum, child) => sum + child.events, events?.length ?? 0),
    largest: Math.max(largest, ...below.map((child) => child.largest)),
    activities: [...activities, ...below.flatMap((child) => child.activities)],
  };
}

/** Seconds that an activity may take at most: every attempt to its timeout, and the back-off between them. */
function worstCase({ startToCloseTimeout, scheduleToCloseTimeout, retryPolicy }: ScheduledActivity): number {
  const seconds = (duration: { seconds?: unknown } | null | undefined) => Number(duration?.seconds ?? 0);
  const whole = seconds(scheduleToCloseTimeout) || Infinity;
  const attempts = retryPolicy?.maximumAttempts || Infinity;
  if (attempts === Infinity) return whole;
  let total = attempts * seconds(startToCloseTimeout);
  for (let retry = 0; retry < attempts - 1; retry++) {
    total += Math.min(
      seconds(retryPolicy?.maximumInterval),
      seconds(retryPolicy?.initialInterval) * (retryPolicy?.backoffCoefficient ?? 2) ** retry,
    );
  }
  return Math.min(whole, total);
}

describe('a night', () => {
  const asOf = '2026-10-24T02:00:00.000Z';
  let outcome: NightlyResult;
  let handle: WorkflowHandle;

  beforeAll(async () => {
    outcome = await run(asOf);
    handle = night.client.workflow.getHandle(`nightly-${asOf}`);
  });

  test('ends with success and fills every table of the contract', async () => {
    expect(outcome).toMatchObject({
      run: 1,
      as_of: asOf,
      status: 'success',
      published: true,
      failed_stage: null,
    });
    const tables = `
      bronze.ratings bronze.movies silver.ratings silver.movies gold.splits
      features.user_features features.movie_features features.user_genre_preferences
      models.metadata models.user_factors models.item_factors models.promotions models.champions
      experiments.ab_test_results experiments.comparisons experiments.evaluations
      recommendations.batch_recs recommendations.similar_movies recommendations.trending serving.movie_stats
      quality.check_results pipeline.run_log`;
    for (const table of tables.trim().split(/\s+/)) expect(await count(table), table).toBeGreaterThan(0);
  });

  test('recommends to every user what is left above the floor, and nothing rated', async () => {
    const { rows } = await night.database.pool.query(`
      with listable as (select movie_id from movielens.ratings group by 1 having count(*) >= 50),
      expected as (
        select user_id, least(20, (select count(*) from listable) - count(l.movie_id)) as entries
        from movielens.ratings r left join listable l using (movie_id) group by 1
      ),
      found as (select user_id, count(*) as entries from recommendations.batch_recs group by 1)
      select * from expected e full join found f using (user_id) where e.entries is distinct from f.entries`);
    expect(rows).toEqual([]);
    expect(
      await count('recommendations.batch_recs b join movielens.ratings r using (user_id, movie_id)'),
    ).toBe(0);
    if (hasMovieLens) {
      expect(await count('(select distinct user_id from recommendations.batch_recs) u')).toBe(610);
    }
  });

  test('trending and movie statistics are what their definitions give', async () => {
    const { rows } = await night.database.pool.query<{ missing: number; recent: number }>(`
      with recent as (
        select *, rating_timestamp > (select max(rating_timestamp) from movielens.ratings) - interval '30 days' as is_recent
        from movielens.ratings
      ),
      expected as (
        select m.movie_id, m.title, count(r.*)::integer as total_ratings,
               coalesce(round(avg(r.rating::numeric), 2), 0)::float8 as overall_avg_rating,
               (count(*) filter (where is_recent))::integer as recent_ratings,
               coalesce(round(avg(r.rating::numeric) filter (where is_recent), 2), 0)::float8 as recent_avg_rating,
               max(r.rating_timestamp) filter (where is_recent) at time zone 'UTC' as latest_rating,
               coalesce(round((count(*) filter (where is_recent))::numeric / nullif(count(r.*), 0), 4), 0)::float8 as trending_score
        from movielens.movies m left join recent r using (movie_id) group by 1, 2
      )
      select (select count(*) from (table serving.movie_stats except table expected) s)
           + (select count(*) from (table expected except table serving.movie_stats) s)
           + (select count(*) from recommendations.trending t
              where not exists (select from expected e where e.movie_id = t.movie_id and e.trending_score = t.trending_score
                and e.recent_ratings = t.recent_ratings and e.total_ratings = t.total_ratings and e.title = t.title)) as missing,
             (select sum(recent_ratings) from serving.movie_stats) as recent`);
    expect(rows[0].missing).toBe(0);
    if (hasMovieLens) expect(rows[0].recent).toBe(877);
    const trending = await night.database.pool.query<{ rank: number; score: number }>(
      'select rank, trending_score as score from recommendations.trending order by rank',
    );
    expect(trending.rows.map(({ rank }) => rank)).toEqual(trending.rows.map((_, at) => at + 1));
    trending.rows.slice(1).forEach(({ score }, at) => {
      expect(score).toBeLessThanOrEqual(trending.rows[at].score);
    });
  });

  test('leaves a short history without large payloads', async () => {
    const { events, largest } = await historyOf(handle);
    expect(events).toBeGreaterThan(100);
    expect(events).toBeLessThan(1_000);
    expect(largest).toBeGreaterThan(100);
    expect(largest).toBeLessThan(16_384);
  });

  test('its worst case is shorter than its execution timeout, and that than a day', async () => {
    const { activities } = await historyOf(handle);
    expect(activities.length).toBeGreaterThan(20);
    for (const activity of activities)
      expect(worstCase(activity), activity.activityType?.name ?? '').toBeGreaterThan(0);
    const worst = activities.reduce((sum, activity) => sum + worstCase(activity), 0);
    const timeout = Number.parseInt(NIGHT_EXECUTION_TIMEOUT) * 3600;
    expect(worst).toBeLessThan(timeout);
    expect(timeout).toBeLessThan(86_400);
  });

  test('carries its outcome in result, memo and search attributes', async () => {
    const { memo, typedSearchAttributes } = await handle.describe();
    expect(memo?.outcome).toEqual(outcome);
    const found = Object.fromEntries(
      typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]),
    );
    expect(found).toMatchObject({
      NightjarOutcome: 'success',
      NightjarRun: 1,
      NightjarModelVersion: outcome.model_version,
      NightjarChampion: outcome.champion,
      NightjarRmse: outcome.rmse,
    });
    const filtered = night.client.workflow.list({
      query: `NightjarOutcome = 'success' and NightjarRmse < ${String((outcome.rmse ?? 0) + 0.01)}`,
    });
    const ids = [];
    for await (const { workflowId } of filtered) ids.push(workflowId);
    expect(ids).toContain(handle.workflowId);
  });

  test('its details in the UI are a table of the stages', async () => {
    const details = await handle.query<{ currentDetails?: string } | string>('__temporal_workflow_metadata');
    const text = JSON.stringify(details);
    expect(text).toContain('**Run 1**');
    expect(text).toMatch(/✓ \| publish \|/);
    expect(text).toContain('first champion');
  });

  test('asked again for its as-of, the workflow returns the run that there is', async () => {
    const again = await night.client.workflow.start('nightlyPipeline', {
      workflowId: 'the-same-night',
      taskQueue: 'nightjar',
      args: [request(asOf)],
    });
    expect(await again.result()).toEqual(outcome);
    expect(await count('pipeline.run_log')).toBe(1);
  });

  test('another configuration for a finished as-of is refused', async () => {
    const other = await night.client.workflow.start('nightlyPipeline', {
      workflowId: 'another-configuration',
      taskQueue: 'nightjar',
      args: [request(asOf, ['similar.perMovie=3'])],
    });
    const failure: unknown = await other.result().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(WorkflowFailedError);
    expect(JSON.stringify((failure as WorkflowFailedError).cause)).toContain('RunConflict');
    expect(await count('pipeline.run_log')).toBe(1);
  });
});

test('the next night refreshes the champion, and its log has the change against the night before', async () => {
  const outcome = await run('2026-10-25T02:00:00.000Z');
  expect(outcome).toMatchObject({ status: 'success', published: true });
  const log = await night.database.db
    .selectFrom('pipeline.run_log')
    .selectAll()
    .where('run', '=', outcome.run)
    .executeTakeFirstOrThrow();
  expect(log).toMatchObject({ rmse_change: 0, mae_change: 0, precision_at_10_change: 0 });
  expect(log.champion_after).toBe(log.champion_before);
  const { decision } = await night.database.db
    .selectFrom('models.promotions')
    .select('decision')
    .where('run', '=', outcome.run)
    .executeTakeFirstOrThrow();
  expect(decision).toBe('refresh');
});

test('an RMSE over the threshold blocks: alert, log, and what is served stays', async () => {
  const served = await night.database.db.selectFrom('serving.pointer').selectAll().executeTakeFirstOrThrow();
  const outcome = await run('2026-10-26T02:00:00.000Z', ['alarm.rmseThreshold=0.1']);
  expect(outcome).toMatchObject({ status: 'blocked', published: false });
  expect(outcome.alerts).toEqual(expect.arrayContaining(['rmse_over_threshold', 'publish_blocked']));
  expect(outcome.reason).toContain('over the threshold of 0.1');
  expect(await night.database.db.selectFrom('serving.pointer').selectAll().executeTakeFirstOrThrow()).toEqual(
    served,
  );
});

test('a failed gate fails the run with a sentence, and what is served stays', async () => {
  const served = await night.database.db.selectFrom('serving.pointer').selectAll().executeTakeFirstOrThrow();
  const outcome = await run('2026-10-27T02:00:00.000Z', ['quality.minimumRatings=100000000']);
  expect(outcome).toMatchObject({
    status: 'failed',
    published: false,
    failed_stage: 'source gate',
    alerts: ['gate_failed'],
  });
  expect(outcome.reason).toContain('at least 100,000,000 ratings');
  expect(await night.database.db.selectFrom('serving.pointer').selectAll().executeTakeFirstOrThrow()).toEqual(
    served,
  );
  // After a failure the as-of may be run again.
  expect(await run('2026-10-27T02:00:00.000Z')).toMatchObject({ status: 'success' });
});

test('an older as-of is computed and logged, and never published', async () => {
  const outcome = await run('2026-10-20T02:00:00.000Z');
  expect(outcome).toMatchObject({ status: 'success', published: false });
  expect(outcome.rmse).not.toBeNull();
  expect(outcome.reason).toContain('a newer as-of is');
});
