import { type Kysely, sql } from 'kysely';

/**
 * `recommendations.for_user` keeps its plan: to make one takes longer than to run it, and a function in SQL is planned
 * with every call, before PostgreSQL 18 in any case and there by choice. Its query stays as it is.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  const { rows } = await sql<{ query: string }>`
    select prosrc as query from pg_proc
    where oid = 'recommendations.for_user(integer, integer)'::regprocedure`.execute(db);
  await sql`
    create or replace function recommendations.for_user(for_user integer, list_length integer default 20)
    returns table (rank integer, movie_id integer, title text, genres text,
                   predicted_score double precision, model_version text, provenance text)
    language plpgsql stable security definer set search_path = '' set plan_cache_mode = 'force_generic_plan' as $$
      #variable_conflict use_column
      begin
        return query ${sql.raw(rows[0].query)};
      end
    $$`.execute(db);
}
