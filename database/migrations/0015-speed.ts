import { type Kysely, type RawBuilder, sql } from 'kysely';

/**
 * The speed layer. Its tables hold what its latest pass has found, changed in place: a statement sees the state before or
 * after a pass, never both. Whether readers see them follows from two rows that are read in the same statement: a pass
 * is shown from the moment at which it is at least as new as the published night, and until that is no longer so.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.createSchema('speed').execute();
  await createPasses(db);
  await createStatistics(db);
  await createOverlay(db);
  await showStatistics(db);
  await mergeOverlay(db);
}

async function createPasses(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('speed.passes')
    .addColumn('pass', 'integer', (c) => c.primaryKey().generatedAlwaysAsIdentity())
    .addColumn('workflow_id', 'text', (c) => c.notNull())
    .addColumn('execution_id', 'text', (c) => c.notNull())
    .addColumn('as_of', 'timestamptz', (c) => c.notNull())
    .addColumn('base_run', 'integer', (c) => c.notNull())
    .addColumn('model_run', 'integer', (c) => c.notNull())
    .addColumn('settings', 'jsonb', (c) => c.notNull())
    .addColumn('read_at', 'timestamptz', (c) => c.notNull())
    .addColumn('changed_users', 'integer', (c) => c.notNull())
    .addColumn('ratings', 'integer', (c) => c.notNull())
    .addColumn('movies', 'integer', (c) => c.notNull())
    .addColumn('finished_at', 'timestamptz', (c) => c.notNull())
    .addColumn('folded_users', 'integer')
    .addColumn('folded_at', 'timestamptz')
    .addColumn('note', 'text')
    .addUniqueConstraint('passes_once', ['workflow_id', 'execution_id'])
    .execute();
  await db.schema
    .createTable('speed.latest')
    .addColumn('only_row', 'boolean', (c) => c.primaryKey().check(sql`only_row`))
    .addColumn('pass', 'integer', (c) => c.notNull().references('speed.passes.pass'))
    .addColumn('base_run', 'integer', (c) => c.notNull())
    .addColumn('base_as_of', 'timestamptz', (c) => c.notNull())
    .addColumn('recent_since', 'timestamptz')
    .execute();
}

/** The number that stands for the speed layer where the versioned tables have a run's. */
const SPEED = sql.lit(0);

/**
 * Partitions of the night's own tables, so that readers' views choose one of them by its number, as they choose a night's,
 * and read it in the order of its indexes; a union of two tables has none.
 */
async function createStatistics(db: Kysely<unknown>): Promise<void> {
  for (const name of ['trending', 'movie_stats']) {
    const table = sql.table(`speed.${name}`);
    const parent = sql.table(`store.${name}`);
    await sql`create table ${table} (like ${parent}, check (run = ${SPEED}))`.execute(db);
    await sql`alter table ${table} alter column run set default ${SPEED}`.execute(db);
    await sql`alter table ${parent} attach partition ${table} for values in (${SPEED})`.execute(db);
  }
  await sql`create table speed.recent_ratings (like silver.ratings)`.execute(db);
  await db.schema.alterTable('speed.recent_ratings').dropColumn('image').execute();
}

/** One row a user, so that a reader finds a folded-in list where it finds the factors. */
async function createOverlay(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('speed.overlay')
    .addColumn('model_run', 'integer', (c) => c.notNull().references('serving.versions.run'))
    .addColumn('user_id', 'integer', (c) => c.notNull())
    .addColumn('factors', sql`real[]`, (c) => c.notNull())
    .addColumn('rated', sql`integer[]`, (c) => c.notNull())
    .addColumn('movies', sql`integer[]`, (c) => c.notNull())
    .addColumn('scores', sql`double precision[]`, (c) => c.notNull())
    .addColumn('generated_at', 'timestamptz', (c) => c.notNull())
    .addPrimaryKeyConstraint('overlay_key', ['model_run', 'user_id'])
    .execute();
}

const listable = (column: string): RawBuilder<unknown> => sql`not exists (
  select from serving.blocked_items b where b.movie_id = ${sql.ref(column)} and b.lifted_at is null)`;

/** As in 0009, but of the speed layer once its latest pass is no older than the published night. */
async function showStatistics(db: Kysely<unknown>): Promise<void> {
  const shown = sql`(
    select case when (l.base_as_of, l.base_run) >= (p.as_of, p.data_run) then ${SPEED} else p.data_run end
    from serving.pointer p left join speed.latest l on true)`;
  await sql`
    create or replace view recommendations.trending as
    select rank, movie_id, title, total_ratings, overall_avg_rating, recent_ratings, recent_avg_rating,
           latest_rating, trending_score, window_days, as_of
    from store.trending t
    where run = ${shown} and ${listable('t.movie_id')}`.execute(db);
  await sql`
    create or replace view serving.movie_stats as
    select movie_id, title, total_ratings, overall_avg_rating, recent_ratings, recent_avg_rating, latest_rating,
           trending_score
    from store.movie_stats where run = ${shown}`.execute(db);
}

/** As in 0009, with whoever is folded in as they are now, and nothing of theirs as of the night. */
async function mergeOverlay(db: Kysely<unknown>): Promise<void> {
  const served = sql`(select model_run from serving.pointer)`;
  const isFoldedIn = (user: string) => sql`exists (
    select from speed.overlay o where o.model_run = ${served} and o.user_id = ${sql.ref(user)})`;
  await sql`
    create or replace view recommendations.batch_recs as
    select r.user_id, r.rank, r.movie_id, m.title, m.genres, r.predicted_score, v.model_version,
           coalesce(r.folded_at, v.generated_at) as generated_at,
           case when r.folded_at is null then v.provenance else 'fold-in' end as provenance
    from (
      select n.user_id, n.rank, n.movie_id, n.predicted_score, null::timestamptz as folded_at
      from store.batch_recs n
      where n.run = ${served} and not ${isFoldedIn('n.user_id')}
      union all
      select o.user_id, listed.rank::smallint, listed.movie_id, listed.score, o.generated_at
      from speed.overlay o
      cross join lateral unnest(o.movies, o.scores) with ordinality listed (movie_id, score, rank)
      where o.model_run = ${served}
    ) r
    join store.movies m on m.run = ${served} and m.movie_id = r.movie_id
    join serving.versions v on v.run = ${served}
    where ${listable('r.movie_id')}`.execute(db);
  await sql`
    create or replace view models.user_factors as
    select user_id, array_to_json(factors)::text as features_json
    from store.user_factors n where run = ${served} and not ${isFoldedIn('n.user_id')}
    union all
    select user_id, array_to_json(factors)::text from speed.overlay where model_run = ${served}`.execute(db);
  await sql`
    create or replace function recommendations.for_user(for_user integer, list_length integer default 20)
    returns table (rank integer, movie_id integer, title text, genres text,
                   predicted_score double precision, model_version text, provenance text)
    language sql stable security definer set search_path = '' as $$
      with listed as (
        select r.rank::integer, r.movie_id, r.title, r.genres, r.predicted_score, r.model_version, r.provenance
        from recommendations.batch_recs r
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
