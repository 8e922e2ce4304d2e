import { sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import { measureMultiplyAdd } from '../multiply-add.ts';

/** What this machine does with the same ratings without a pipeline: figures of other machines are told apart by it. */
export interface Yardstick {
  /** PostgreSQL counts the ratings, in parallel. */
  count_seconds: number;
  /** PostgreSQL copies the ratings into an unlogged table. */
  copy_seconds: number;
  multiply_add_gflops: number;
}

/** Each once to warm up and once timed, after the night. */
export async function measureYardstick(db: Db, threads: number): Promise<Yardstick> {
  const count = (): Promise<unknown> => sql`select count(*), sum(rating) from movielens.ratings`.execute(db);
  const copy = async (): Promise<void> => {
    await sql`create unlogged table yardstick as select * from movielens.ratings`.execute(db);
  };
  const drop = (): Promise<unknown> => sql`drop table if exists yardstick`.execute(db);
  await count();
  const count_seconds = await seconds(count);
  await copy();
  await drop();
  const copy_seconds = await seconds(copy);
  await drop();
  return { count_seconds, copy_seconds, multiply_add_gflops: (await measureMultiplyAdd(threads)) / 1e9 };
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}
