import { createRandom } from '../recommender/random.ts';

/** Shares as in the published catalogues, most frequent first. */
const GENRES = [
  'Drama',
  'Comedy',
  'Thriller',
  'Romance',
  'Action',
  'Horror',
  'Documentary',
  'Crime',
  'Adventure',
  'Sci-Fi',
  'Children',
  'Animation',
  'Mystery',
  'Fantasy',
  'War',
  'Western',
  'Musical',
];
const FIRST = [
  'Silent',
  'Golden',
  'Last',
  'Crimson',
  'Hidden',
  'Broken',
  'Midnight',
  'Northern',
  'Paper',
  'Wild',
];
const SECOND = [
  'Harbor',
  'Garden',
  'Witness',
  'Station',
  'Orchard',
  'Empire',
  'Letter',
  'Mirror',
  'Summer',
  'Bridge',
];
const THIRD = ['Road', 'Song', 'Return', 'Promise', 'Game', 'Shadow', 'Winter', 'House', 'Voyage', 'Hour'];

/** COPY lines of a catalogue: ids from 1, titles with a year, one to four genres. */
export function* createTitles(movies: number, seed: number): Generator<string> {
  const random = createRandom(seed ^ 0x7157);
  const pick = (words: string[]): string => words[random() % words.length];
  for (let movie = 1; movie <= movies; movie++) {
    const name = `${pick(FIRST)} ${pick(SECOND)}: ${pick(THIRD)} ${movie}`;
    const year = 2024 - Math.floor((random() / 2 ** 32) ** 2 * 90);
    const count = 1 + (random() % 4);
    const genres = new Set<string>();
    // Squared, so that the first genres are the frequent ones.
    while (genres.size < count) genres.add(GENRES[Math.floor((random() / 2 ** 32) ** 2 * GENRES.length)]);
    yield `${movie}\t${name} (${year})\t${[...genres].sort().join('|')}\n`;
  }
}
