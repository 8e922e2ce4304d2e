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
