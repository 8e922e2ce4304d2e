import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
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
  const users = Int32Array.from({ length: 5_000 }, (_, row) => row % 97);
  const items = Int32Array.from({ length: 5_000 }, (_, row) => Math.floor(row / 97));
  const ratings = Float32Array.from(users, (user, row) => 0.5 + ((user + items[row]) % 10) / 2);
  const { train, holdout } = await splitRatings({ users, items, ratings }, 42);

  expect(train.users.length + holdout.users.length).toBe(5_000);
  expect(holdout.users.length / 5_000).toBeGreaterThan(0.17);
  expect(holdout.users.length / 5_000).toBeLessThan(0.23);
  const held = (user: number, item: number) => crc32(`${user}:${item}:42`) % 5 === 0;
  holdout.users.forEach((user, row) => expect(held(user, holdout.items[row])).toBe(true));
  train.users.forEach((user, row) => expect(held(user, train.items[row])).toBe(false));
  holdout.users.forEach((user, row) =>
    expect(holdout.ratings[row]).toBe(0.5 + ((user + holdout.items[row]) % 10) / 2),
  );

  const backwards = await splitRatings(
    { users: users.toReversed(), items: items.toReversed(), ratings: ratings.toReversed() },
    42,
  );
  expect(backwards.holdout.users).toEqual(holdout.users.toReversed());
});

test('a group is the parity of the CRC-32 of the decimal user_id, another one under a salt', () => {
  for (const user of IDS) {
    expect(abGroup(user)).toBe(crc32(String(user)) % 2 === 0 ? 'A' : 'B');
    expect(abGroup(user, 'x')).toBe(crc32(`${user}:x`) % 2 === 0 ? 'A' : 'B');
  }
  expect(crc32OfText('123456789')).toBe(0xcbf43926);
});
