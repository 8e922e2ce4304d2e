import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MOVIELENS, hasMovieLens, readRatings } from '../test/support/movielens.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nightjar-bench-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function bench(...args: string[]) {
  const script = fileURLToPath(new URL('./bench.ts', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

function json(...args: string[]): Record<string, number> {
  const { status, stdout, stderr } = bench(...args, '--json');
  expect(status, stderr).toBe(0);
  expect(stdout.trim().split('\n')).toHaveLength(1);
  return JSON.parse(stdout) as Record<string, number>;
}

function write(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

test('the engine is measured in every part, on standard output one object', () => {
  const report = json('engine', ...'--ratings 20000 --rank 8 --threads 2 --iterations 3'.split(' '));
  expect(report).toMatchObject({
    ratings: 20_000,
    users: 135,
    movies: 596,
    rank: 8,
    threads: 2,
    plain_step: 1,
  });
  expect(report.iterations).toHaveLength(3);
  for (const name of [
    ...['generate_seconds', 'build_seconds', 'train_seconds', 'iteration_seconds', 'topn_seconds'],
    ...['similar_seconds', 'plain_iteration_seconds', 'cancel_seconds'],
    ...['gflops', 'multiply_add_gflops', 'peak_rss_mb'],
  ]) {
    expect(report[name], name).toBeGreaterThan(0);
  }
  for (const name of ['event_loop_delay_max_ms', 'event_loop_delay_p99_ms'])
    expect(report[name], name).toBeGreaterThanOrEqual(0);
});

test('for people it is a table that says what it counts', () => {
  const { stdout } = bench(...'engine --ratings 1000 --rank 4 --threads 1 --iterations 1'.split(' '));
  expect(stdout).toContain('plain TypeScript, one thread, a whole iteration');
  expect(stdout).toContain('GFLOP/s: two operations a multiply-add');
});

describe.skipIf(!hasMovieLens)('on ml-latest-small', () => {
  test("rank 10 is no worse than Spark's five-fold mean by more than 0.003", () => {
    const found = json('accuracy', '--data', MOVIELENS, '--family', 'als', '--rank', '10', '--threads', '2');
    expect(found).toMatchObject({ family: 'als', rank: 10, reg: 0.1, iterations: 10, seed: 42 });
    expect(found.rmse).toBeLessThanOrEqual(0.8847 + 0.003);
    expect(found.mae).toBeLessThanOrEqual(0.68 + 0.003);
    expect(found.spark).toEqual({ rmse: 0.8847, mae: 0.68 });
    const folds = found.folds as unknown as Record<string, number>[];
    expect(folds).toHaveLength(5);
    expect(folds.reduce((sum, { scored, dropped }) => sum + scored + dropped, 0)).toBe(100_836);
    for (const name of ['rmse', 'mae', 'scored', 'dropped', 'precision_at_10', 'recall_at_10', 'coverage']) {
      expect(found[name], name).toBeCloseTo(folds.reduce((sum, fold) => sum + fold[name], 0) / 5, 10);
    }
  });

  test('a given split says the same of itself in any format', () => {
    const { users, items, ratings } = readRatings();
    const lines = (separator: string, keep: (row: number) => boolean, header = ''): string =>
      header +
      Array.from(users.keys())
        .filter(keep)
        .map((row) => [users[row], items[row], ratings[row]].join(separator))
        .join('\n');
    const isHeld = (row: number): boolean => row % 5 === 0;
    const train = write(
      'train.dat',
      lines('::', (row) => !isHeld(row)),
    );
    const split = ['--train', train, '--family', 'als', '--rank', '5', '--iterations', '2'];
    const found = json('accuracy', ...split, '--test', write('test.tsv', lines('\t', isHeld)));
    expect(found.scored + found.dropped).toBe(users.filter((_, row) => isHeld(row)).length);
    expect(found.rmse).toBeGreaterThan(0.5);
    expect(found).not.toHaveProperty('folds');
    const csv = write('test.csv', lines(',', isHeld, 'userId,movieId,rating\n'));
    expect(json('accuracy', ...split, '--test', csv)).toEqual(found);
  });

  test('several configurations are rows, ranking families without an RMSE, and a floor is for all', () => {
    const data = ['accuracy', '--data', MOVIELENS, '--threads', '2', '--iterations', '1'];
    const { rows } = json(
      ...data,
      '--rank',
      '2,3',
      '--reg',
      '0.1,0.2',
      '--minimum-ratings',
      '50',
    ) as never as {
      rows: Record<string, number>[];
    };
    expect(rows.map(({ rank, reg, minimum_ratings }) => [rank, reg, minimum_ratings])).toEqual([
      [2, 0.1, 50],
      [3, 0.1, 50],
      [2, 0.2, 50],
      [3, 0.2, 50],
    ]);
    expect(json(...data, '--family', 'popular')).toMatchObject({ family: 'popular', rmse: null, mae: null });
  });
});

test.each([
  ['engine --ratings 10', '--ratings', 'expected a whole number from 1000'],
  ['engine --threads 0', '--threads', 'expected a whole number'],
  ['accuracy', '--data', 'expected either --data, or --train and --test'],
  ['accuracy --train x.csv', '--test', 'expected either --data, or --train and --test'],
  ['accuracy --data /no/such/folder', '/no/such/folder', 'no such file'],
  ['accuracy --data . --family knn', '--family', 'als-implicit'],
  ['accuracy --data . --rank 10,many', '--rank', 'expected a whole number'],
  ['accuracy --data . --reg 0', '--reg', 'expected a number above 0'],
])('%s: one line that names what was wrong, exit code 2', (line, names, says) => {
  expectRefused(bench(...line.split(' ')), names, says);
});

test('bad files are one line that names file and line, exit code 2', () => {
  const good = write('good.csv', 'userId,movieId,rating\n1,1,4\n1,2,3\n2,1,5\n');
  const bad = write('bad.csv', 'userId,movieId,rating\n1,1,4\n1,2,x\n');
  const twice = write('twice.csv', 'userId,movieId,rating\n1,1,4\n1,2,3\n1,1,5\n');
  const split = (train: string, test: string) => bench('accuracy', '--train', train, '--test', test);
  expectRefused(split(bad, good), `${bad}, line 3`, 'expected "userId,movieId,rating"');
  expectRefused(split(good, bad), `${bad}, line 3`, 'expected "userId,movieId,rating"');
  expectRefused(split(twice, good), `${twice}, line 4`, 'user 1 has rated movie 1 already, in line 2');
});

function expectRefused({ status, stdout, stderr }: ReturnType<typeof bench>, ...says: string[]): void {
  expect(stderr.trim().split('\n')).toHaveLength(1);
  for (const text of says) expect(stderr).toContain(text);
  expect(stdout).toBe('');
  expect(status).toBe(2);
}
