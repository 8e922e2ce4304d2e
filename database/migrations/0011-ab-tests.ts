import { type Kysely, sql } from 'kysely';

/** A/B tests that engineers start by themselves, beside those of the nights. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('experiments.ab_tests')
    .addColumn('test_id', 'text', (c) => c.primaryKey())
    .addColumn('execution_id', 'text', (c) => c.notNull())
    .addColumn('run', 'integer', (c) => c.notNull().references('pipeline.runs.run'))
    .addColumn('metric', 'text', (c) => c.notNull())
    .addColumn('arms', 'jsonb', (c) => c.notNull())
    .addColumn('seeds', 'jsonb', (c) => c.notNull())
    .addColumn('salt', 'text')
    .addColumn('resamples', 'integer', (c) => c.notNull())
    .addColumn('bootstrap_seed', 'integer', (c) => c.notNull())
    .addColumn('code_version', 'text', (c) => c.notNull())
    .addColumn('created_at', 'timestamptz', (c) => c.notNull().defaultTo(sql`now()`))
    .addColumn('finished_at', 'timestamptz')
    .addColumn('sample_ratio_p', 'double precision')
    .addColumn('winner', 'text')
    .addColumn('decided', 'boolean')
    .addColumn('decision', 'text')
    .execute();
  await db.schema
    .createTable('experiments.ab_test_arms')
    .addColumn('test_id', 'text', (c) => c.notNull().references('experiments.ab_tests.test_id'))
    .addColumn('arm', 'integer', (c) => c.notNull())
    .addColumn('ab_group', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('configurations', sql`text[]`, (c) => c.notNull())
    .addColumn('value', 'double precision', (c) => c.notNull())
    .addColumn('group_value', 'double precision')
    .addColumn('seed_deviation', 'double precision')
    .addPrimaryKeyConstraint('ab_test_arms_key', ['test_id', 'arm'])
    .execute();
  await db.schema
    .createTable('experiments.ab_test_comparisons')
    .addColumn('test_id', 'text', (c) => c.notNull().references('experiments.ab_tests.test_id'))
    .addColumn('arm', 'integer', (c) => c.notNull())
    .addColumn('difference', 'double precision', (c) => c.notNull())
    .addColumn('interval_low', 'double precision', (c) => c.notNull())
    .addColumn('interval_high', 'double precision', (c) => c.notNull())
    .addColumn('p_value', 'double precision', (c) => c.notNull())
    .addColumn('p_adjusted', 'double precision', (c) => c.notNull())
    .addColumn('users', 'integer', (c) => c.notNull())
    .addColumn('decided', 'boolean', (c) => c.notNull())
    .addColumn('seed_deviation', 'double precision')
    .addPrimaryKeyConstraint('ab_test_comparisons_key', ['test_id', 'arm'])
    .execute();
  await db.schema
    .createTable('experiments.ab_test_users')
    .addColumn('test_id', 'text', (c) => c.notNull().references('experiments.ab_tests.test_id'))
    .addColumn('user_id', 'integer', (c) => c.notNull())
    .addColumn('ab_group', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('ab_test_users_key', ['test_id', 'user_id'])
    .execute();
  // Not a reference: the twin of a test that is forgotten one day stays what it is.
  await db.schema.alterTable('experiments.evaluations').addColumn('test_id', 'text').execute();
}
