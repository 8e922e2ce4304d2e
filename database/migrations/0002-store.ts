import { type ColumnDataType, type CreateTableBuilder, type Kysely, sql } from 'kysely';

/** Column name to type; a leading `?` marks a column that may be null. */
type Columns = Record<string, ColumnDataType | `?${ColumnDataType}` | 'real[]'>;

/** A versioned table: one list partition a run, keyed by (run, key…). */
async function createVersioned(
  db: Kysely<unknown>,
  name: string,
  key: string[],
  columns: Columns,
): Promise<void> {
  let table: CreateTableBuilder<string, string> = db.schema
    .createTable(`store.${name}`)
    .addColumn('run', 'integer', (c) => c.notNull());
  for (const [column, declared] of Object.entries(columns)) {
    const nullable = declared.startsWith('?');
    const type = sql.raw(nullable ? declared.slice(1) : declared);
    table = table.addColumn(column, sql`${type}`, (c) => (nullable ? c : c.notNull()));
  }
  await table
    .addPrimaryKeyConstraint(`${name}_key`, ['run', ...key])
    .modifyEnd(sql`partition by list (run)`)
    .execute();
}

/** The versioned tables behind the readers' views. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.createSchema('store').execute();

  await createVersioned(db, 'user_features', ['user_id'], {
    user_id: 'integer',
    total_ratings: 'integer',
    avg_rating: 'double precision',
    std_rating: '?double precision',
    positive_count: 'integer',
    negative_count: 'integer',
    unique_movies: 'integer',
    first_rating_at: 'timestamptz',
    last_rating_at: 'timestamptz',
    positivity_ratio: 'double precision',
    activity_span_days: 'integer',
    ratings_per_day: 'double precision',
    user_segment: 'text',
    _computed_at: 'timestamptz',
  });
  await createVersioned(db, 'movie_features', ['movie_id'], {
    movie_id: 'integer',
    title: 'text',
    genres: 'text',
    primary_genre: 'text',
    year: '?integer',
    num_genres: 'integer',
    total_ratings: 'integer',
    avg_rating: 'double precision',
    std_rating: '?double precision',
    unique_raters: 'integer',
    positive_rate: 'double precision',
    first_rated_at: 'timestamptz',
    last_rated_at: 'timestamptz',
    _computed_at: 'timestamptz',
  });
  await createVersioned(db, 'user_genre_preferences', ['user_id'], {
    user_id: 'integer',
    pref_drama: 'double precision',
    pref_comedy: 'double precision',
    pref_action: 'double precision',
    pref_thriller: 'double precision',
    pref_romance: 'double precision',
    pref_adventure: 'double precision',
    pref_sci_fi: 'double precision',
    pref_crime: 'double precision',
    pref_horror: 'double precision',
    pref_animation: 'double precision',
    _computed_at: 'timestamptz',
  });
  await createVersioned(db, 'trending', ['rank'], {
    rank: 'integer',
    movie_id: 'integer',
    title: 'text',
    total_ratings: 'integer',
    overall_avg_rating: 'double precision',
    recent_ratings: 'integer',
    recent_avg_rating: 'double precision',
    latest_rating: 'timestamptz',
    trending_score: 'double precision',
    window_days: 'integer',
    as_of: 'timestamptz',
  });
  await createVersioned(db, 'movie_stats', ['movie_id'], {
    movie_id: 'integer',
    title: 'text',
    total_ratings: 'integer',
    overall_avg_rating: 'double precision',
    recent_ratings: 'integer',
    recent_avg_rating: 'double precision',
    latest_rating: '?timestamptz',
    trending_score: 'double precision',
  });
  // The fallback list of a user without factors reads the most popular movies first.
  await db.schema
    .createIndex('movie_stats_popularity')
    .on('store.movie_stats')
    .columns(['run', 'total_ratings desc', 'movie_id'])
    .execute();
  await createVersioned(db, 'batch_recs', ['user_id', 'rank'], {
    user_id: 'integer',
    rank: 'smallint',
    movie_id: 'integer',
    predicted_score: 'double precision',
  });
  await createVersioned(db, 'similar_movies', ['movie_id', 'rank'], {
    movie_id: 'integer',
    rank: 'smallint',
    similar_movie_id: 'integer',
    similarity: 'double precision',
  });
  await createVersioned(db, 'movies', ['movie_id'], { movie_id: 'integer', title: 'text', genres: 'text' });
  await createVersioned(db, 'user_factors', ['user_id'], { user_id: 'integer', factors: 'real[]' });
  await createVersioned(db, 'item_factors', ['movie_id'], { movie_id: 'integer', factors: 'real[]' });
}
