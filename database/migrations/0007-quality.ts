import type { Kysely } from 'kysely';

/** What a check was held against, and the numbers of each snapshot that later ones are held against. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('quality.check_results')
    .addColumn('warn_threshold', 'double precision')
    .addColumn('error_threshold', 'double precision')
    .execute();
  await db.schema
    .createTable('quality.source_statistics')
    .addColumn('run', 'integer', (c) => c.notNull().references('pipeline.runs.run'))
    .addColumn('statistic', 'text', (c) => c.notNull())
    .addColumn('value', 'double precision', (c) => c.notNull())
    .addPrimaryKeyConstraint('source_statistics_key', ['run', 'statistic'])
    .execute();
}
