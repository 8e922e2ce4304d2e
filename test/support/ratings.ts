import type { RatingTriples } from '../../recommender/index.ts';
import { createRandom } from '../../recommender/random.ts';

/** Ratings that a rank of two explains, on a scale of its own. */
export function lowRank(users: number, items: number, density: number): RatingTriples {
  const random = createRandom(7);
  const uniform = () => random() / 2 ** 32;
  const left = Array.from({ length: users }, () => [1 + uniform(), uniform()]);
  const right = Array.from({ length: items }, () => [1 + uniform(), 2 * uniform() - 1]);
  return columnsOf(
    left.flatMap((u, user) =>
      right.flatMap((v, item) =>
        uniform() < density ? [[user + 1, 10 * item, u[0] * v[0] + u[1] * v[1]]] : [],
      ),
    ),
  );
}

/** Stars that nothing explains. */
export function randomRatings(shape: {
  users: number;
  items: number;
  density: number;
  seed: number;
}): RatingTriples {
  const random = createRandom(shape.seed);
  const rows: number[][] = [];
  for (let user = 0; user < shape.users; user++) {
    for (let item = 0; item < shape.items; item++) {
      if (random() / 2 ** 32 < shape.density) rows.push([user, item * 3, 0.5 + (random() % 10) / 2]);
    }
  }
  return columnsOf(rows);
}

function columnsOf(rows: number[][]): RatingTriples {
  return {
    users: Int32Array.from(rows, ([user]) => user),
    items: Int32Array.from(rows, ([, item]) => item),
    ratings: Float32Array.from(rows, ([, , rating]) => rating),
  };
}
