import { expect, test } from 'vitest';
import { RatingColumns, type RatingTriples, buildRatingMatrix } from './index.ts';
import { createRandom } from './random.ts';

/** Random pairs, none twice, in random order. */
function drawTriples(
  rows: number,
  { users, items }: { users: number; items: number },
  ratingOf: (random: number) => number,
): RatingTriples {
  const next = createRandom(rows);
  const random = () => next() / 2 ** 32;
  const pairs = new Set<number>();
  while (pairs.size < rows) {
    // Some users and items have many ratings, most have few.
    const user = Math.floor(users * random() ** 2);
    pairs.add(user * items + Math.floor(items * random() ** 2));
  }
  return {
    users: Int32Array.from(pairs, (pair) => 3 * Math.floor(pair / items) - 1_000),
    items: Int32Array.from(pairs, (pair) => 5 * (pair % items) + 7),
    ratings: Float32Array.from(pairs, () => ratingOf(random())),
  };
}

/** Everything that a matrix holds, and which memory it takes. */
async function buildWith(threads: number, triples: RatingTriples) {
  const matrix = await buildRatingMatrix(triples, { threads });
  const { userIds, itemIds, byUser, byItem, scale, mean, workspace } = matrix;
  const regions = structuredClone(workspace.regions);
  const sides = [byUser, byItem].flatMap(({ starts, columns, values }) => [starts, columns, values]);
  const contents = [userIds, itemIds, ...sides, scale].map((view) => view?.slice() ?? null);
  matrix.release();
  return { contents, mean, regions };
}

const halves = (random: number): number => Math.floor(random * 10) / 2;

// The first has to grow the memory, which the next ones use again, and all of its threads have to see that.
test.each<[string, RatingTriples]>([
  [
    'more than 65,536 users and items, and ratings of no scale',
    drawTriples(120_000, { users: 400_000, items: 400_000 }, (random) => random),
  ],
  ['half stars', drawTriples(20_000, { users: 300, items: 200 }, halves)],
  [
    'a scale of other ratings',
    drawTriples(20_000, { users: 300, items: 200 }, (random) => halves(random) / 3 - 1),
  ],
  [
    'ids far apart',
    (({ users, ...rest }) => ({ ...rest, users: users.map((id) => id * 2_000_003) }))(
      drawTriples(5_000, { users: 300, items: 200 }, halves),
    ),
  ],
  ['a single rating', drawTriples(1, { users: 10, items: 10 }, halves)],
  ['fewer ratings than threads', drawTriples(5, { users: 3, items: 3 }, halves)],
])('2, 3 and 7 threads give the same bits as one for %s', async (_, triples) => {
  const several = [];
  for (const threads of [7, 3, 2]) several.push(await buildWith(threads, triples));
  const one = await buildWith(1, triples);
  for (const matrix of several) expect(matrix).toEqual(one);
});

test.each([1, 2, 3, 7])('%i threads refuse the same', async (threads) => {
  const triples = drawTriples(2_000, { users: 300, items: 200 }, halves);
  const build = (change: (columns: RatingTriples) => void) => {
    const columns = structuredClone(triples);
    change(columns);
    return buildRatingMatrix(columns, { threads });
  };
  const nameOf = (row: number) => [triples.users[row], triples.items[row]];
  // Of several, the first one in the order of the rows, whichever thread finds it.
  const [user, item] = nameOf(900);
  await expect(
    build(({ ratings }) => {
      ratings[900] = Infinity;
      ratings[901] = Number.NaN;
      ratings[1_999] = Number.NaN;
    }),
  ).rejects.toThrow(`rating of user ${user} for item ${item} is Infinity, expected a finite number`);
  // And in that of the ids.
  const twice = [40, 1_500].map(nameOf).sort(([a], [b]) => a - b);
  await expect(
    build(({ users, items }) => {
      users.set([users[40], users[1_500]], 0);
      items.set([items[40], items[1_500]], 0);
    }),
  ).rejects.toThrow(`user ${twice[0][0]} has two ratings for item ${twice[0][1]}, expected one`);
  const none = { users: new Int32Array(0), items: new Int32Array(0), ratings: new Float32Array(0) };
  await expect(buildRatingMatrix(none, { threads })).rejects.toThrow('no ratings');
});

test('threads build from part of the columns, and leave the rest as it is', async () => {
  const triples = drawTriples(3_000, { users: 100, items: 80 }, halves);
  const train = 2_001;
  const part = Object.values(triples).map((column: Int32Array | Float32Array) => column.subarray(0, train));
  const [users, items, ratings] = part as [Int32Array, Int32Array, Float32Array];
  const expected = await buildWith(1, { users, items, ratings });
  const columns = new RatingColumns(3_000);
  columns.users.set(triples.users);
  columns.items.set(triples.items);
  columns.ratings.set(triples.ratings);
  const { byUser, mean } = await buildRatingMatrix(columns, { threads: 3, rows: [0, train] });
  expect(mean).toBe(expected.mean);
  expect(Object.values(byUser)).toEqual(expected.contents.slice(2, 5));
  expect(columns.users.subarray(train)).toEqual(triples.users.subarray(train));
  expect(columns.items.subarray(train)).toEqual(triples.items.subarray(train));
  expect(columns.ratings.subarray(train)).toEqual(triples.ratings.subarray(train));
  columns.release();
});
