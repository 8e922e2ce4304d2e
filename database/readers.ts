/** What readers ask for, by key, through the published views. */

import { type CompiledQuery, sql } from 'kysely';
import { jsonArrayFrom } from 'kysely/helpers/postgres';
import type { Connection, Db } from './connect.ts';
import type { Provenance } from './types/index.ts';

export interface Recommendation {
  rank: number;
  movie_id: number;
  title: string;
  genres: string | null;
  /** Null in a fallback list. */
  predicted_score: number | null;
  model_version: string;
  provenance: Provenance;
}

/**
 * Reads by a statement that its connection prepares once: a point read takes less time than its plan does.
 * @param name one a text: the same name with another text is an error. A connection that is older than a release which
 *   gives the view another column has to be opened anew.
 */
async function readPrepared<Row extends object>(
  { pool }: Connection,
  name: string,
  { sql: text, parameters }: CompiledQuery<Row>,
): Promise<Row[]> {
  return (await pool.query<Row>({ name, text, values: [...parameters] })).rows;
}

/** A user's list, or the fallback for one without factors: never empty once a night was published. */
export function recommendationsFor(
  connection: Connection,
  user: number,
  limit: number,
): Promise<Recommendation[]> {
  const query = sql<Recommendation>`
    select * from recommendations.for_user(${user}::integer, ${limit}::integer)`;
  return readPrepared(connection, 'recommendations-of-user', query.compile(connection.db));
}

/** A user who has a list, the smallest id; null before the first publish. */
export async function anyUser(db: Db): Promise<number | null> {
  // By the key of one table: lists come from two, and so in no order.
  const row = await db
    .selectFrom('features.user_features as user')
    .innerJoinLateral(
      (inner) =>
        inner
          .selectFrom('recommendations.batch_recs as listed')
          .whereRef('listed.user_id', '=', 'user.user_id')
          .select('listed.rank')
          .limit(1)
          .as('first'),
      (join) => join.onTrue(),
    )
    .select('user.user_id')
    .orderBy('user.user_id')
    .limit(1)
    .executeTakeFirst();
  return row?.user_id ?? null;
}

/**
 * A user's list computed again from the published factors, as a service that keeps them in memory would: dot
 * products with every movie above the floor that the user has not rated.
 */
export async function recommendationsFromFactors(
  db: Db,
  user: number,
  limit: number,
): Promise<Recommendation[]> {
  const { rows } = await sql<Recommendation>`
    with version as (
      select v.run, v.model_version, case when o.user_id is null then v.provenance else 'fold-in' end as provenance,
             r.settings -> 'recommendations' as settings, o.rated
      from serving.versions v join pipeline.runs r using (run)
      left join speed.overlay o on o.model_run = v.run and o.user_id = ${user}
      where v.run = (select model_run from serving.pointer)
    ),
    rated as (
      select unnest(rated) as movie_id from version
      union all
      select movie_id from silver.ratings
      where image = (select image from silver.snapshots where run = (select data_run from serving.pointer))
        and user_id = ${user} and (select rated from version) is null
    ),
    scored as (
      select i.movie_id, (
        select sum(u.value::text::float8 * v.value::text::float8 order by u.place)
        from json_array_elements(uf.features_json::json) with ordinality u (value, place)
        join json_array_elements(i.features_json::json) with ordinality v (value, place) using (place)
      ) as score
      from models.user_factors uf
      cross join models.item_factors i
      join serving.movie_stats s on s.movie_id = i.movie_id
      where uf.user_id = ${user}
        and not exists (select from serving.blocked_items b where b.movie_id = i.movie_id and b.lifted_at is null)
        and s.total_ratings >= (select (settings ->> 'minimumRatings')::integer from version)
        and not ((select (settings ->> 'excludeRated')::boolean from version)
          and i.movie_id in (select movie_id from rated))
    )
    select row_number() over (order by score desc, s.movie_id)::integer as rank, s.movie_id, m.title, m.genres,
           round(score::numeric, 4)::float8 as predicted_score, version.model_version, version.provenance
    from scored s
    cross join version
    join store.movies m on m.run = version.run and m.movie_id = s.movie_id
    order by 1 limit ${limit}`.execute(db);
  return rows;
}

/** A movie's neighbours. */
export function similarTo(connection: Connection, movie: number, limit: number) {
  const query = connection.db
    .selectFrom('recommendations.similar_movies')
    .select(['rank', 'similar_movie_id', 'title', 'similarity', 'model_version'])
    .where('movie_id', '=', movie)
    .orderBy('rank')
    .limit(limit);
  return readPrepared(connection, 'neighbours-of-movie', query.compile());
}

/** A user's features; undefined for one who was in no snapshot that is shown. */
export async function featuresOf(connection: Connection, user: number) {
  const query = connection.db.selectFrom('features.user_features').selectAll().where('user_id', '=', user);
  return (await readPrepared(connection, 'features-of-user', query.compile())).at(0);
}

/** What is rated most of late. */
export function trendingNow(db: Db, limit: number) {
  return db.selectFrom('recommendations.trending').selectAll().orderBy('rank').limit(limit).execute();
}

/** The kept versions, newest first, with their twins' metrics, which one readers see and which configuration is champion. */
export function keptVersions(db: Db) {
  return db
    .selectFrom('serving.versions as v')
    .innerJoin('models.metadata as m', 'm.run', 'v.run')
    .innerJoin('pipeline.runs as r', 'r.run', 'v.run')
    .innerJoin('serving.pointer as p', (join) => join.onTrue())
    .leftJoin('models.champions as c', (join) =>
      join.onRef('c.configuration', '=', 'm.configuration').on('c.retired_at', 'is', null),
    )
    .where('v.retired_at', 'is', null)
    .orderBy('v.published_at', 'desc')
    .select(['v.run', 'v.model_version', 'r.as_of', 'v.published_at', 'v.served_at'])
    .select(['m.configuration', 'm.training_size', 'm.rmse', 'm.mae', 'm.precision_at_10', 'm.recall_at_10'])
    .select(['m.ndcg_at_10', 'm.map_at_10', 'm.coverage', 'm.status'])
    .select([
      sql<boolean>`v.run = p.model_run`.as('served'),
      // Of the version that is served: since when readers see it.
      sql<Date | null>`case when v.run = p.model_run then p.changed_at end`.as('served_since'),
      sql<boolean>`c.champion_id is not null`.as('champion'),
      sql<Date | null>`c.since`.as('champion_since'),
    ])
    .execute();
}

/** The last runs, newest first: closed ones with their log, a live one without; each with what it was before it was re-opened. */
export function lastRuns(db: Db, limit: number) {
  return db
    .selectFrom('pipeline.runs as r')
    .leftJoin('pipeline.run_log as l', 'l.run', 'r.run')
    .orderBy('r.run', 'desc')
    .limit(limit)
    .select([
      'r.run',
      'r.as_of',
      'r.status',
      'r.workflow_id',
      'r.started_at',
      'l.duration_seconds',
      'l.model_version',
    ])
    .select(['l.rmse', 'l.precision_at_10', 'l.published', 'l.failed_stage', 'l.reason'])
    .select((run) => [
      // Each time that it was re-opened, the last one first.
      jsonArrayFrom(
        run
          .selectFrom('pipeline.reopenings as o')
          .whereRef('o.run', '=', 'r.run')
          .orderBy('o.reopening', 'desc')
          .select(['o.from_stage', 'o.actor', 'o.reopened_at'])
          .select([
            sql<string>`o.outcome ->> 'status'`.as('status'),
            sql<string>`o.outcome ->> 'reason'`.as('reason'),
          ]),
      ).as('reopenings'),
    ])
    .execute();
}

/** The run that is live, if one is: at most one is at a time. */
export function liveRun(db: Db) {
  return db
    .selectFrom('pipeline.runs')
    .select(['run', 'as_of', 'workflow_id'])
    .where('status', '=', 'running')
    .executeTakeFirst();
}

/** A run by its number. */
export function runById(db: Db, run: number) {
  return db
    .selectFrom('pipeline.runs')
    .select(['run', 'as_of', 'workflow_id'])
    .where('run', '=', run)
    .executeTakeFirst();
}

/** Which database this is: the same for whoever is connected to it, and to no other. */
export async function databaseId(db: Db): Promise<string> {
  return (await db.selectFrom('pipeline.identity').select('id').executeTakeFirstOrThrow()).id;
}

/** The last alerts, newest first, each with what became of its deliveries. */
export async function lastAlerts(db: Db, limit: number) {
  const alerts = await db
    .selectFrom('pipeline.alerts as a')
    .leftJoin('pipeline.runs as r', 'r.run', 'a.run')
    .select(['a.alert_id', 'a.kind', 'a.run', 'r.as_of', 'a.about', 'a.message', 'a.raised_at', 'a.taken_by'])
    .orderBy('a.alert_id', 'desc')
    .limit(limit)
    .execute();
  if (alerts.length === 0) return [];
  const deliveries = await db
    .selectFrom('pipeline.alert_deliveries')
    .selectAll()
    .where(
      'alert_id',
      'in',
      alerts.map(({ alert_id }) => alert_id),
    )
    .orderBy('channel')
    .execute();
  return alerts.map((alert) => ({
    ...alert,
    deliveries: deliveries.filter(({ alert_id }) => alert_id === alert.alert_id),
  }));
}

/** Alerts that have not arrived on some channel: given up, or tried in vain so far. */
export async function undeliveredAlerts(db: Db): Promise<number> {
  const { alerts } = await db
    .selectFrom('pipeline.alert_deliveries')
    .select((count) => count.fn.count<number>('alert_id').distinct().as('alerts'))
    .where('state', '<>', 'delivered')
    .where('attempts', '>', 0)
    .executeTakeFirstOrThrow();
  return alerts;
}
