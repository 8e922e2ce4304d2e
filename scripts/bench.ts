/** Measures the recommender: how fast it is, what memory it takes, how accurate its models are. */

import { availableParallelism } from 'node:os';
import { InvalidArgumentError, Option } from 'commander';
import { accuracyJson, accuracyTable } from '../bench/accuracy-table.ts';
import { type AccuracyRow, type RowAccuracy, crossValidate, evaluateSplit } from '../bench/accuracy.ts';
import { ARITHMETIC, engineTable } from '../bench/engine-table.ts';
import { benchEngine } from '../bench/engine.ts';
import { naming, readRatings } from '../bench/rating-input.ts';
import { FAMILIES, type Training, configure, tableRows } from '../bench/accuracy-rows.ts';
import { UsageError } from '../config/settings.ts';
import { night } from './bench/night.ts';
import { createCommand, integer, options, run } from './support/cli.ts';
import { table } from './support/table.ts';

const say = (line: string): void => void process.stderr.write(`${line}\n`);
const threads = (): Option =>
  new Option('--threads <count>', 'how many threads')
    .argParser(integer(1, 256))
    .default(availableParallelism(), 'all processors');

function positive(text: string): number {
  const value = Number(text);
  if (!/^[\d.]+$/.test(text) || !(value > 0)) throw new InvalidArgumentError('expected a number above 0');
  return value;
}

/** Values of one kind with commas between them. */
function list(parse: (text: string) => number): (text: string) => number[] {
  return (text) => text.split(',').map(parse);
}

const engine = createCommand(
  'engine',
  'Time every part of the engine on generated ratings, beside yardsticks.',
  ['npm run bench -- engine', 'npm run bench -- engine --ratings 1000000 --rank 50 --threads 1 --json'],
)
  .option('--ratings <count>', 'how many to generate', integer(1_000, 100_000_000), 25_000_000)
  .option('--rank <number>', 'latent dimensions', integer(1, 256), 20)
  .option('--iterations <count>', 'of the training', integer(1, 100), 5)
  .addOption(threads())
  .addOption(options.json())
  .action(
    async (given: { ratings: number; rank: number; iterations: number; threads: number; json?: boolean }) => {
      const report = await benchEngine({ ...given, say });
      if (given.json === true) return console.log(JSON.stringify(report));
      const { head, rows } = engineTable(report);
      console.log(table(head, rows));
      console.log(ARITHMETIC);
    },
  );

interface AccuracyGiven extends Training {
  data?: string;
  train?: string;
  test?: string;
  family?: (typeof FAMILIES)[number];
  rank?: number[];
  reg?: number[];
  minimumRatings?: number;
  threads: number;
  json?: boolean;
}

const accuracy = createCommand(
  'accuracy',
  "Measure models on a holdout: five folds of a file, or a given split. Without --family, --rank and --reg: all rows of Spark's table.",
  [
    'npm run bench -- accuracy --data ../shared/data/ml-latest-small',
    'npm run bench -- accuracy --data ratings.dat --family als --rank 10,20 --reg 0.1 --json',
    'npm run bench -- accuracy --train train.csv --test test.csv --rank 20',
  ],
)
  .option('--data <path>', 'ratings.csv, ratings.dat, u.data, or the folder of one: five folds')
  .option('--train <file>', 'train part of a given split, in one of the same formats')
  .option('--test <file>', 'its holdout')
  .addOption(new Option('--family <name>', 'family of models; als by default').choices(FAMILIES))
  .option('--rank <numbers>', 'latent dimensions, such as 10,20; 20 by default', list(integer(1, 256)))
  .option('--reg <numbers>', 'regularisation, such as 0.1,0.15; 0.1 by default', list(positive))
  .option('--iterations <count>', 'of a training', integer(1, 1_000), 10)
  .option('--seed <number>', 'of the starting factors', integer(0, 2 ** 31 - 1), 42)
  .option('--alpha <number>', 'of als-implicit: confidence of a rating r is 1 + alpha r', positive, 1)
  .option('--minimum-ratings <count>', 'floor: least ratings for a movie to be listed', integer(0))
  .addOption(threads())
  .addOption(options.json())
  .action(async (given: AccuracyGiven) => {
    const { ratings, measured } = await measure(given, chosenRows(given));
    const rows = measured.map((row) => accuracyJson(row, ratings));
    if (given.json === true) return console.log(JSON.stringify(rows.length === 1 ? rows[0] : { rows }));
    const { head, rows: cells } = accuracyTable(measured, ratings);
    console.log(table(head, cells));
    if (rows.some(({ spark }) => spark !== undefined)) console.log("In brackets: Spark 4.3's.");
  });

function chosenRows(given: AccuracyGiven): AccuracyRow[] {
  const { family = 'als', rank = [20], reg = [0.1], minimumRatings } = given;
  if (given.family === undefined && given.rank === undefined && given.reg === undefined) {
    return tableRows(given, minimumRatings);
  }
  if (family === 'popular') return [{ configuration: { family }, minimumRatings: minimumRatings ?? 0 }];
  return reg.flatMap((regularization) =>
    rank.map((one) => ({
      configuration: configure(family, one, regularization, given),
      minimumRatings: minimumRatings ?? 0,
    })),
  );
}

async function measure(
  { data, train, test, threads }: AccuracyGiven,
  rows: AccuracyRow[],
): Promise<{ ratings: number; measured: RowAccuracy[] }> {
  if (data !== undefined && train === undefined && test === undefined) {
    const file = await readRatings(data);
    const measured = await naming(file, () => crossValidate(file, rows, { threads, say }));
    return { ratings: file.ratings.length, measured };
  }
  if (data !== undefined || train === undefined || test === undefined)
    throw new UsageError('expected either --data, or --train and --test');
  const [trainFile, holdout] = [await readRatings(train), await readRatings(test)];
  const figures = await naming(trainFile, () => evaluateSplit(trainFile, holdout, rows, { threads, say }));
  return {
    ratings: trainFile.ratings.length + holdout.ratings.length,
    measured: rows.map((row, at) => ({ ...row, figures: figures[at], folds: [] })),
  };
}

await run(
  createCommand('bench', 'Measure the recommender.', [
    'npm run bench -- engine --help',
    'npm run bench -- accuracy --help',
    'npm run bench -- night --help',
  ])
    .addCommand(engine)
    .addCommand(accuracy)
    .addCommand(night),
);
