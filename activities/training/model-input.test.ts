import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { partitionName } from '../../database/versions.ts';
import { type TestDatabase, createTestDatabase } from '../../test/support/database.ts';
import { callActivity, closeRun, insertRun } from '../../test/support/runs.ts';
import { fillSource } from '../../test/support/source.ts';
import { SMALL, createStages, makeSnapshot } from '../../test/support/stages.ts';
import { loadModelInput } from './model-input.ts';
import { checksumInput } from './registered-split.ts';

const SEED = 42;
let database: TestDatabase;
let folder: string;
let run: number;

beforeAll(async () => {
  database = await createTestDatabase();
  await fillSource(database, 40, 30);
  run = await insertRun(database, { asOf: '2026-02-01T00:00:00Z', overrides: SMALL });
  const stages = createStages(database);
  await makeSnapshot(stages, run);
  await stages.splitHoldout({ run });
});
afterAll(() => database.drop());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nightjar-snapshots-'));
  return () => rmSync(folder, { recursive: true, force: true });
});

/** What the input of a run is, as text: its checksums and sizes. */
function load(cacheFolder: string | null, of = run): Promise<string> {
  return callActivity(async () => {
    const { signal } = new AbortController();
    const input = await loadModelInput({ connection: database, cacheFolder }, of, SEED, signal);
    try {
      const checksums = await checksumInput(input, signal);
      return JSON.stringify({ ...checksums, ratings: input.columns.users.length, train: input.train });
    } finally {
      input.columns.release();
    }
  }, undefined);
}

/** Runs `body` while the snapshot in PostgreSQL lacks a row: who reads it fails. */
async function withoutPostgres(body: () => Promise<void>): Promise<void> {
  const table = partitionName('silver.ratings', run);
  await database.pool.query(`create table kept as select * from ${table} where user_id = 1`);
  await database.pool.query(`delete from ${table} where user_id = 1`);
  try {
    await body();
  } finally {
    await database.pool.query(`insert into ${table} select * from kept; drop table kept`);
  }
}

const files = (): string[] => readdirSync(folder).map((name) => join(folder, name));

test('the first load leaves a copy that only we can read, and the next one is from there', async () => {
  const fromPostgres = await load(folder);
  expect(files()).toHaveLength(1);
  expect(statSync(files()[0]).mode & 0o777).toBe(0o600);
  await withoutPostgres(async () => {
    await expect(load(null)).rejects.toThrow('were written');
    expect(await load(folder)).toBe(fromPostgres);
  });
});

test.each([
  ['damaged', (bytes: Buffer) => ((bytes[bytes.length >> 1] ^= 4), bytes)],
  ['cut off', (bytes: Buffer) => bytes.subarray(0, -12)],
  ['another one', (bytes: Buffer) => Buffer.alloc(bytes.length, 7)],
])('a copy that is %s is not trusted, and made again', async (_, change) => {
  const fromPostgres = await load(folder);
  const [copy] = files();
  const good = readFileSync(copy);
  writeFileSync(copy, change(Buffer.from(good)));
  await withoutPostgres(async () => {
    await expect(load(folder)).rejects.toThrow('were written');
  });
  expect(await load(folder)).toBe(fromPostgres);
  await withoutPostgres(async () => {
    expect(await load(folder)).toBe(fromPostgres);
  });
});

test('a folder that cannot be written to fails nothing', async () => {
  const file = join(folder, 'a-file');
  writeFileSync(file, '');
  expect(await load(join(file, 'snapshots'))).toBe(await load(null));
});

test('a newer snapshot takes the place of the one before, and leaves other databases theirs', async () => {
  await load(folder);
  const stranger = join(folder, 'other-database-run1-seed42.ratings');
  writeFileSync(stranger, '');
  await closeRun(database, run);
  const next = await insertRun(database, { asOf: '2026-02-02T00:00:00Z', overrides: SMALL });
  await makeSnapshot(createStages(database), next);
  await load(folder, next);
  expect(files().filter((name) => name !== stranger)).toEqual([
    expect.stringContaining(`-run${next}-seed${SEED}.ratings`),
  ]);
  expect(readdirSync(folder)).toHaveLength(2);
});

test('a night that follows another has its copy made of that one and what has changed; not of a damaged one', async () => {
  await database.pool.query(
    `update pipeline.runs set status = 'success', finished_at = now() where status = 'running'`,
  );
  const stages = createStages(database);
  const before = await insertRun(database, { asOf: '2026-02-03T00:00:00Z', overrides: SMALL });
  await makeSnapshot(stages, before);
  await stages.splitHoldout({ run: before });
  await load(folder, before);
  const [copy] = files();
  const good = readFileSync(copy);
  await closeRun(database, before);
  await database.pool.query(`
    delete from movielens.ratings where user_id = 2 or (user_id = 3 and movie_id % 2 = 0);
    update movielens.ratings set rating = 5.5 - rating where user_id = 4;
    insert into movielens.ratings select 1000, movie_id, rating, rating_timestamp from movielens.ratings where user_id = 5`);
  const after = await insertRun(database, { asOf: '2026-02-04T00:00:00Z', overrides: SMALL });
  await makeSnapshot(stages, after);
  const fromPostgres = await load(null, after);

  await withoutPostgres(async () => {
    expect(await load(folder, after)).toBe(fromPostgres);
  });
  const damage = (at: number): Buffer => {
    const bytes = Buffer.from(good);
    bytes[at] ^= 4;
    return bytes;
  };
  for (const at of [0, good.length >> 1, good.length - 1]) {
    for (const file of files()) rmSync(file);
    writeFileSync(copy, damage(at));
    await withoutPostgres(async () => {
      await expect(load(folder, after)).rejects.toThrow('were written');
    });
    expect(await load(folder, after)).toBe(fromPostgres);
  }
});

test.each([
  ['takes what silver has left in this process', false],
  ['takes it only from the attempt that is done', true],
])('the split %s', async (_what, isOfAnother) => {
  const own = await createTestDatabase();
  try {
    await fillSource(own, 40, 30);
    const stages = createStages(own);
    const left = await insertRun(own, { asOf: '2026-02-01T00:00:00Z', overrides: SMALL });
    await makeSnapshot(stages, left);
    const written = await own.db.selectFrom('silver.snapshots').selectAll().executeTakeFirstOrThrow();
    if (isOfAnother)
      await own.pool.query(`update pipeline.stages set token = token + 1 where stage = 'silver'`);
    await own.pool.query('delete from silver.ratings where user_id = 1');
    const split = stages.splitHoldout({ run: left });
    await (isOfAnother
      ? expect(split).rejects.toThrow('its snapshot holds')
      : expect(split).resolves.toMatchObject({ rows: written.silver_ratings }));
  } finally {
    await own.drop();
  }
});
