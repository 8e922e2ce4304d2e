/** An A/B test as an engineer asks for it: which configurations, on what metric, with which seeds and groups. */

import { z } from 'zod';
import { METRIC_NAMES, isErrorMetric } from './metrics.ts';
import { UsageError, modelConfigurationSchema } from './settings.ts';

/** Four groups of users each still say something, and four arms are three comparisons to correct for. */
export const MOST_ARMS = 4;
/** Ten give a standard deviation within a quarter of itself; four arms of them are 40 trainings. */
export const MOST_SEEDS = 10;

/** What can be an arm: any family, the baseline among them. */
export const armSchema = z.union([
  modelConfigurationSchema,
  z.strictObject({ family: z.literal('popular') }),
]);
export type Arm = z.infer<typeof armSchema>;

const abTestSchema = z.object({
  arms: z.array(armSchema),
  metric: z.enum(METRIC_NAMES),
  salt: z
    .string()
    .regex(/^[\x20-\x7e]{1,100}$/, 'expected 1 to 100 characters of ASCII')
    .optional(),
  seeds: z.array(z.int().min(0).max(2_147_483_647)).max(MOST_SEEDS).optional(),
});

export type AbTestInput = z.infer<typeof abTestSchema>;

/** What each part of a request is called on the command line. */
const OPTION_NAMES: Record<string, string> = { arms: 'arm' };

/**
 * Looks whether an A/B test can be made as it is asked for.
 * @throws UsageError that names the option and what was wrong with it
 */
export function checkAbTest(asked: unknown): AbTestInput {
  const parsed = abTestSchema.safeParse(asked);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0];
    const [option, ...rest] = path.map(String);
    throw new UsageError(`--${[OPTION_NAMES[option] ?? option, ...rest].join('.')}: ${message}`);
  }
  const { arms, metric, seeds } = parsed.data;
  if (arms.length < 2 || arms.length > MOST_ARMS)
    throw new UsageError(
      `--arm: ${arms.length} ${arms.length === 1 ? 'arm' : 'arms'}; expected 2 to ${MOST_ARMS}`,
    );
  if (seeds !== undefined && (seeds.length === 0 || new Set(seeds).size < seeds.length))
    throw new UsageError('--seeds: expected values that differ');
  const distinct = new Set(arms.map((arm) => JSON.stringify(trainings(arm, seeds))));
  if (distinct.size < arms.length)
    throw new UsageError(
      `--arm: two arms are the same${seeds === undefined ? '' : ' with --seeds, which take the place of their own'}; expected arms that differ`,
    );
  const without = arms.find(({ family }) => family === 'als-implicit' || family === 'popular');
  if (isErrorMetric(metric) && without !== undefined)
    throw new UsageError(
      `--metric ${metric}: ${without.family} predicts no ratings and has no such metric; expected precision@10, recall@10, ndcg@10 or map@10`,
    );
  return parsed.data;
}

/** The configurations that an arm is trained as: one a seed; the baseline, which draws nothing, once. */
export function trainings(arm: Arm, seeds: number[] | undefined): Arm[] {
  if (arm.family === 'popular' || seeds === undefined) return [arm];
  return seeds.map((seed) => ({ ...arm, seed }));
}

/** Of a training where nothing else is said. */
const DEFAULTS = { rank: 20, iterations: 10, reg: 0.1, seed: 42 };
const WORDS = ['rank', 'iterations', 'reg', 'alpha', 'seed'];

/**
 * An arm in the words by which tables call configurations: `als rank=10 reg=0.05`, `als-implicit alpha=40`, `popular`.
 * @throws UsageError that repeats the arm and says what was wrong with it
 */
export function parseArm(text: string): Arm {
  const refused = (why: string): UsageError => new UsageError(`--arm '${text}': ${why}`);
  const [family, ...words] = text.trim().split(/\s+/);
  const given: Partial<Record<string, number>> = {};
  for (const word of words) {
    const [name, value] = word.split('=');
    if (!WORDS.includes(name) || !/^\d+(\.\d+)?(e-?\d+)?$/.test(value))
      throw refused(`expected ${WORDS.map((one) => `${one}=…`).join(', ')} with numbers, not ${word}`);
    if (name in given) throw refused(`${name} is said twice`);
    given[name] = Number(value);
  }
  if (!['als', 'als-biased', 'als-implicit', 'popular'].includes(family))
    throw refused('expected als, als-biased, als-implicit or popular first');
  if (family === 'popular' && words.length > 0) throw refused('popular has no parameters');
  if ('alpha' in given && family !== 'als-implicit') throw refused('only als-implicit has an alpha');
  const { reg: regularization, ...rest } = { ...DEFAULTS, ...given };
  const arm =
    family === 'popular'
      ? { family }
      : {
          family,
          rank: rest.rank,
          iterations: rest.iterations,
          regularization,
          seed: rest.seed,
          ...(family === 'als-implicit' ? { alpha: given.alpha ?? 1 } : {}),
        };
  const parsed = (family === 'popular' ? armSchema : modelConfigurationSchema).safeParse(arm);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0];
  throw refused(`${path.join('.')}: ${message}`);
}
