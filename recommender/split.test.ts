import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { createRandom } from './random.ts';
import { abGroup, crc32OfText, pairHash, splitRatings } from './split.ts';

const IDS = [0, 1, 9, 10, 42, 610, 193_609, 2_147_483_647, -1, -2_147_483_648];

test('a pair is hashed as the CRC-32 of the text "user:movie:seed"', () => {
  for (const user of IDS) {
    for (const movie of IDS) {
      for (const seed of [0, 42, -7]) {
        expect(pairHash(user, movie, seed), `${user}:${movie}:${seed}`).toBe(
          crc32(`${user}:${movie}:${seed}`),
        );
      }
    }
  }
});

test('the holdout is the pairs whose hash is a multiple of five, and no order of rows changes it', async () => {
  const shared = (values: number[]): Int32Array => {
    const column = new Int32Array(new SharedArrayBuffer(values.length * 4));
    column.set(values);
    return column;
  };
  const rows = Array.from({ length: 5_000 }, (_, row) => [row % 97, Math.floor(row / 97)]);
  const columnsOf = (order: number[][]) => ({
    users: shared(order.map(([user]) => user)),
    items: shared(order.map(([, item]) => item)),
    ratings: stars(order),
  });
  const stars = (order: number[][]): Float32Array => {
    const column = new Float32Array(new SharedArrayBuffer(order.length * 4));
    column.set(order.map(rating));
    return column;
  };
  const rating = ([user, item]: number[]) => 0.5 + ((user + item) % 10) / 2;
  const held = (user: number, item: number) => crc32(`${user}:${item}:42`) % 5 === 0;
  const pairsOf = ({ users, items }: ReturnType<typeof columnsOf>, from: number, to: number) =>
    Array.from(users.subarray(from, to), (user, row) => `${user}:${items[from + row]}`).sort();

  const columns = columnsOf(rows);
  const train = await splitRatings(columns, 42);
  expect((5_000 - train) / 5_000).toBeGreaterThan(0.17);
  expect((5_000 - train) / 5_000).toBeLessThan(0.23);
  columns.users.forEach((user, row) => {
    expect(held(user, columns.items[row])).toBe(row >= train);
    expect(columns.ratings[row]).toBe(rating([user, columns.items[row]]));
  });
  expect(pairsOf(columns, 0, 5_000)).toEqual(rows.map(([user, item]) => `${user}:${item}`).sort());

  const backwards = columnsOf(rows.toReversed());
  expect(await splitRatings(backwards, 42)).toBe(train);
  expect(pairsOf(backwards, train, 5_000)).toEqual(pairsOf(columns, train, 5_000));
});

test.each([0, 42, -2_147_483_648])(
  'movies and users of every length are held out by the same hash, seed %i',
  async (seed) => {
    const users = new Int32Array(new SharedArrayBuffer(4 * 20_000));
    const items = new Int32Array(new SharedArrayBuffer(4 * 20_000));
    const random = createRandom(seed);
    for (let row = 0; row < users.length; row++) {
      users[row] = random() >> (random() % 32);
      items[row] = random() >> (random() % 32);
    }
    const ratings = new Float32Array(new SharedArrayBuffer(4 * users.length));
    const train = await splitRatings({ users, items, ratings }, seed);
    users.forEach((user, row) => {
      expect(crc32(`${user}:${items[row]}:${seed}`) % 5 === 0).toBe(row >= train);
    });
  },
);

test('a group is the parity of the CRC-32 of the decimal user_id, another one under a salt', () => {
  for (const user of IDS) {
    expect(abGroup(user)).toBe(crc32(String(user)) % 2 === 0 ? 'A' : 'B');
    expect(abGroup(user, 'x')).toBe(crc32(`${user}:x`) % 2 === 0 ? 'A' : 'B');
  }
  expect(crc32OfText('123456789')).toBe(0xcbf43926);
});
