import { expect, test } from 'vitest';
import { createTestDatabase } from '../test/support/database.ts';
import { connect } from './connect.ts';
import { migrateToLatest } from './migrate.ts';
import { migrations } from './migrations/index.ts';

test('several processes that start at once migrate once', async () => {
  const database = await createTestDatabase({ migrate: false });
  const others = Array.from({ length: 4 }, () =>
    connect({ url: database.url, applicationName: 'nightjar-test', max: 1 }),
  );
  try {
    const applied = await Promise.all(others.map(({ db }) => migrateToLatest(db)));
    expect(applied.flat().sort()).toEqual(Object.keys(migrations).sort());
    expect(await migrateToLatest(database.db)).toEqual([]);
  } finally {
    await Promise.all(others.map((other) => other.close()));
    await database.drop();
  }
});

test('a database that a newer release has migrated stays as it is', async () => {
  const database = await createTestDatabase();
  try {
    await database.pool.query(
      `insert into pipeline.kysely_migration values ('9999-of-a-newer-release', 'now')`,
    );
    expect(await migrateToLatest(database.db)).toEqual([]);
    await database.pool.query(`delete from pipeline.kysely_migration where name = '0001-lake'`);
    await expect(migrateToLatest(database.db)).rejects.toThrow('corrupted migrations');
  } finally {
    await database.drop();
  }
});
