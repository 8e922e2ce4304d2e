import { type Kysely, sql } from 'kysely';

/**
 * Publishing by version: every view reads the one pointer row in the same statement as its tables, so that
 * a statement sees one version in all tables that it touches, and moving the pointer locks no reader out.
 * The scalar sub-selects let the planner prune the partitions of other versions when a statement starts.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await createPointer(db);
  await createModelViews(db);
  await createDataViews(db);
  await createFallback(db);
}

async function createPointer(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('serving.versions')
    .addColumn('run', 'integer', (c) => c.primaryKey().references('pipeline.runs.run'))
    .addColumn('model_version', 'text', (c) => c.notNull())
    .addColumn('provenance', 'text', (c) => c.notNull())
    .addColumn('generated_at', 'timestamptz', (c) => c.notNull())
    .addColumn('published_at', 'timestamptz')
    .addColumn('retired_at', 'timestamptz')
    .execute();
  await db.schema
    .createTable('serving.pointer')
    .addColumn('only_row', 'boolean', (c) => c.primaryKey().check(sql`only_row`))
    .addColumn('model_run', 'integer', (c) => c.notNull().references('serving.versions.run'))
    .addColumn('data_run', 'integer', (c) => c.notNull().references('serving.versions.run'))
    .addColumn('as_of', 'timestamptz', (c) => c.notNull())
    .addColumn('changed_at', 'timestamptz', (c) => c.notNull())
    .execute();
}

async function createModelViews(db: Kysely<unknown>): Promise<void> {
  await sql`
    create view recommendations.batch_recs as
    select r.user_id, r.rank, r.movie_id, m.title, m.genres, r.predicted_score, v.model_version, v.generated_at
    from store.batch_recs r
    join store.movies m on m.run = (select model_run from serving.pointer) and m.movie_id = r.movie_id
    join serving.versions v on v.run = r.run
    where r.run = (select model_run from serving.pointer)`.execute(db);
  await sql`
    create view recommendations.similar_movies as
    select s.movie_id, s.rank, s.similar_movie_id, m.title, s.similarity, v.model_version, v.generated_at
    from store.similar_movies s
    join store.movies m on m.run = (select model_run from serving.pointer) and m.movie_id = s.similar_movie_id
    join serving.versions v on v.run = s.run
    where s.run = (select model_run from serving.pointer)`.execute(db);
  // PostgreSQL prints a real with the fewest digits that restore it, so the JSON text loses nothing.
  await sql`
    create view models.user_factors as
    select user_id, array_to_json(factors)::text as features_json
    from store.user_factors where run = (select model_run from serving.pointer)`.execute(db);
  await sql`
    create view models.item_factors as
    select movie_id, array_to_json(factors)::text as features_json
    from store.item_factors where run = (select model_run from serving.pointer)`.execute(db);
}

async function createDataViews(db: Kysely<unknown>): Promise<void> {
  const columns: Record<string, string> = {
    'features.user_features':
      'user_id, total_ratings, avg_rating, std_rating, positive_count, negative_count, unique_movies, first_rating_at, last_rating_at, positivity_ratio, activity_span_days, ratings_per_day, user_segment, _computed_at',
    'features.movie_features':
      'movie_id, title, genres, primary_genre, year, num_genres, total_ratings, avg_rating, std_rating, unique_raters, positive_rate, first_rated_at, last_rated_at, _computed_at',
    'features.user_genre_preferences':
      'user_id, pref_drama, pref_comedy, pref_action, pref_thriller, pref_romance, pref_adventure, pref_sci_fi, pref_crime, pref_horror, pref_animation, _computed_at',
    'recommendations.trending':
      'rank, movie_id, title, total_ratings, overall_avg_rating, recent_ratings, recent_avg_rating, latest_rating, trending_score, window_days, as_of',
    'serving.movie_stats':
      'movie_id, title, total_ratings, overall_avg_rating, recent_ratings, recent_avg_rating, latest_rating, trending_score',
  };
  for (const [view, list] of Object.entries(columns)) {
    const table = `store.${view.split('.')[1]}`;
    await sql`
      create view ${sql.table(view)} as
      select ${sql.raw(list)} from ${sql.table(table)}
      where run = (select data_run from serving.pointer)`.execute(db);
  }
}

/**
 * Readers' way to a list that is never empty: the user's own, else popular movies, then trending ones. With the rights
 * of its owner, as the views have them: a reader needs no more than those.
 */
async function createFallback(db: Kysely<unknown>): Promise<void> {
  await sql`
    create function recommendations.for_user(for_user integer, list_length integer default 20)
    returns table (rank integer, movie_id integer, title text, genres text,
                   predicted_score double precision, model_version text, provenance text)
    language sql stable security definer set search_path = '' as $$
      with listed as (
        select r.rank::integer, r.movie_id, r.title, r.genres, r.predicted_score, r.model_version, v.provenance
        from recommendations.batch_recs r
        join serving.versions v on v.run = (select model_run from serving.pointer)
        where r.user_id = for_user and r.rank <= list_length
      ), popular as (
        select s.movie_id, s.title, 'popular' as provenance,
               row_number() over (order by s.total_ratings desc, s.movie_id) as position
        from serving.movie_stats s
        where s.total_ratings > 0
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
