import { type Kysely, sql } from 'kysely';

/** Rollback: what a kept version consists of, when it was served last, and decisions that no night made; blocked items. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await keepCounts(db);
  await recordRollbacks(db);
  await createBlockList(db);
  await filterViews(db);
}

async function keepCounts(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('serving.versions').addColumn('served_at', 'timestamptz').execute();
  await sql`update serving.versions set served_at = published_at`.execute(db);
  await db.schema
    .createTable('serving.version_rows')
    .addColumn('run', 'integer', (c) => c.notNull().references('serving.versions.run'))
    .addColumn('table_name', 'text', (c) => c.notNull())
    .addColumn('rows', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('version_rows_key', ['run', 'table_name'])
    .execute();
  for (const table of ['batch_recs', 'similar_movies', 'movies', 'user_factors', 'item_factors']) {
    await sql`
      insert into serving.version_rows
      select run, ${sql.lit(`store.${table}`)}, count(*) from ${sql.table(`store.${table}`)}
      where run in (select run from serving.versions where retired_at is null) group by run`.execute(db);
  }
}

/** A night makes one decision; people may roll back to its version any number of times, each once. */
async function recordRollbacks(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('models.promotions')
    .addColumn('request', 'text', (c) => c.unique())
    .execute();
  await db.schema.alterTable('models.promotions').dropConstraint('promotions_run_key').execute();
  await db.schema
    .createIndex('promotions_one_per_night')
    .unique()
    .on('models.promotions')
    .column('run')
    .where(sql.ref('decision'), '<>', 'rollback')
    .execute();
}

/** A row is a time for which a movie is blocked; the open one of a movie blocks it now. */
async function createBlockList(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('serving.blocked_items')
    .addColumn('movie_id', 'integer', (c) => c.notNull())
    .addColumn('reason', 'text', (c) => c.notNull())
    .addColumn('actor', 'text', (c) => c.notNull())
    .addColumn('since', 'timestamptz', (c) => c.notNull().defaultTo(sql`clock_timestamp()`))
    .addColumn('lifted_at', 'timestamptz')
    .addColumn('lifted_by', 'text')
    .addColumn('lifted_reason', 'text')
    .addPrimaryKeyConstraint('blocked_items_key', ['movie_id', 'since'])
    .execute();
  await db.schema
    .createIndex('blocked_items_once')
    .unique()
    .on('serving.blocked_items')
    .column('movie_id')
    .where(sql<boolean>`lifted_at is null`)
    .execute();
}

/** As in 0004, without what is blocked. Ranks stay as published: numbering anew would read a list to its end. */
async function filterViews(db: Kysely<unknown>): Promise<void> {
  const listable = (column: string) => sql`not exists (
    select from serving.blocked_items b where b.movie_id = ${sql.ref(column)} and b.lifted_at is null)`;
  await sql`
    create or replace view recommendations.batch_recs as
    select r.user_id, r.rank, r.movie_id, m.title, m.genres, r.predicted_score, v.model_version, v.generated_at
    from store.batch_recs r
    join store.movies m on m.run = (select model_run from serving.pointer) and m.movie_id = r.movie_id
    join serving.versions v on v.run = r.run
    where r.run = (select model_run from serving.pointer) and ${listable('r.movie_id')}`.execute(db);
  await sql`
    create or replace view recommendations.similar_movies as
    select s.movie_id, s.rank, s.similar_movie_id, m.title, s.similarity, v.model_version, v.generated_at
    from store.similar_movies s
    join store.movies m on m.run = (select model_run from serving.pointer) and m.movie_id = s.similar_movie_id
    join serving.versions v on v.run = s.run
    where s.run = (select model_run from serving.pointer) and ${listable('s.similar_movie_id')}`.execute(db);
  await sql`
    create or replace view recommendations.trending as
    select rank, movie_id, title, total_ratings, overall_avg_rating, recent_ratings, recent_avg_rating,
           latest_rating, trending_score, window_days, as_of
    from store.trending t
    where run = (select data_run from serving.pointer) and ${listable('t.movie_id')}`.execute(db);
  // Of the published list the first that may be shown: a blocked one makes room for the next.
  await sql`
    create or replace function recommendations.for_user(for_user integer, list_length integer default 20)
    returns table (rank integer, movie_id integer, title text, genres text,
                   predicted_score double precision, model_version text, provenance text)
    language sql stable security definer set search_path = '' as $$
      with listed as (
        select r.rank::integer, r.movie_id, r.title, r.genres, r.predicted_score, r.model_version, v.provenance
        from recommendations.batch_recs r
        join serving.versions v on v.run = (select model_run from serving.pointer)
        where r.user_id = for_user
        order by r.rank
        limit list_length
      ), popular as (
        select s.movie_id, s.title, 'popular' as provenance,
               row_number() over (order by s.total_ratings desc, s.movie_id) as position
        from serving.movie_stats s
        where s.total_ratings > 0 and ${listable('s.movie_id')}
        order by s.total_ratings desc, s.movie_id
        limit list_length
      ), trending as (
        select t.movie_id, t.title, 'trending' as provenance, list_length + t.rank as position
        from recommendations.trending t
        where not exists (select from popular p where p.movie_id = t.movie_id)
      ), fallback as (
        select f.*, row_number() over (order by f.position)::integer as rank
        from (select * from popular union all select * from trending) f
      )
      select l.rank, l.movie_id, l.title, l.genres, l.predicted_score, l.model_version, l.provenance from listed l
      union all
      select f.rank, f.movie_id, f.title, m.genres, null, v.model_version, f.provenance
      from fallback f
      join serving.versions v on v.run = (select model_run from serving.pointer)
      left join store.movies m on m.run = v.run and m.movie_id = f.movie_id
      where f.rank <= list_length and not exists (select from listed)
      order by 1
    $$`.execute(db);
}
