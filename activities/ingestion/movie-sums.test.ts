import { expect, test } from 'vitest';
import { Block, MovieSums } from './movie-sums.ts';

const THRESHOLDS = { positive: 8, negative: 4 };

type Row = [movie: number, rating: number, instant: bigint];

function summed(movies: number[], rows: Row[]): MovieSums {
  const sums = new MovieSums(Int32Array.from(movies));
  const block = new Block();
  const flush = (): void => {
    sums.add(block);
    block.count = 0;
  };
  for (const [movie, rating, instant] of rows)
    if (block.put(movie, rating, Number(instant >> 32n), Number(BigInt.asIntN(32, instant)))) flush();
  flush();
  return sums;
}

test('sums, counts and the first and the last instant are those of the ratings, also of more than a block', () => {
  const rows = Array.from({ length: 10_000 }, (_, at): Row => {
    const draw = (at * 7919) % 104_729;
    return [[-5, 7, 2_000_000_000][draw % 3], (1 + (draw % 10)) / 2, BigInt(draw) ** 3n - 5n * 10n ** 14n];
  });
  const { columns, rows: rated } = summed([-5, 3, 7, 2_000_000_000], rows).rows(THRESHOLDS);
  const found = columns.map((column) => Array.from(column.values as ArrayLike<number | bigint>, BigInt));
  const expected = [-5, 7, 2_000_000_000].map((movie) => {
    const of = rows.filter(([other]) => other === movie);
    const halves = of.map(([, rating]) => BigInt(rating * 2));
    const instants = of.map(([, , instant]) => instant).toSorted((a, b) => (a < b ? -1 : 1));
    const sum = (values: bigint[]): bigint => values.reduce((total, value) => total + value, 0n);
    return [
      BigInt(movie),
      BigInt(of.length),
      sum(halves),
      sum(halves.map((half) => half * half)),
      BigInt(halves.filter((half) => half >= 8n).length),
      BigInt(halves.filter((half) => half <= 4n).length),
      instants[0],
      instants[instants.length - 1],
    ];
  });
  expect(rated).toBe(3);
  expect(expected.map((_, row) => found.map((column) => column[row]))).toEqual(expected);
});

test('instants are ordered by all their bits', () => {
  const instants = [-1n, 0n, 1n << 31n, (1n << 32n) - 1n, 1n << 32n, -(1n << 32n), -(1n << 32n) - 1n];
  for (const other of instants)
    for (const instant of instants) {
      const { columns } = summed(
        [1],
        [
          [1, 4, instant],
          [1, 4, other],
        ],
      ).rows(THRESHOLDS);
      const ordered = instant < other ? [instant, other] : [other, instant];
      expect(columns.slice(6).map(({ values }) => values[0])).toEqual(ordered);
    }
});

test('ratings by value are counted, those that nobody gave left out', () => {
  const sums = summed(
    [1, 2],
    [
      [1, 0.5, 0n],
      [2, 0.5, 0n],
      [2, 4, 0n],
    ],
  );
  expect(sums.ratingCounts()).toEqual({ '0.5': 2, '4': 1 });
});

test.each([
  ['a movie of no catalogue', 3, 4],
  ['no rating', 1, 0],
  ['a quarter of a star', 1, 0.75],
  ['more than five stars', 1, 5.5],
  ['not a number', 1, Number.NaN],
])('%s is refused', (_what, movie, rating) => {
  expect(() => summed([1], [[movie, rating, 0n]])).toThrow(`movie ${movie}, rated ${rating}`);
});
