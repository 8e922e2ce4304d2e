/**
 * Settings of a run: what a night computes and how it decides. A profile names a set of defaults; a caller
 * overrides single values with `section.key=value`. The run ledger keeps the resolved settings, and every
 * activity of the run reads them there.
 */

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { METRIC_NAMES, isErrorMetric } from './metrics.ts';
import { CHECK_NAMES } from './checks.ts';
import { type ProfileName, profiles } from './profiles.ts';

const factorization = {
  rank: z.int().min(1).max(256),
  iterations: z.int().min(1).max(100),
  regularization: z.number().positive(),
  seed: z.int(),
  tolerance: z.number().positive().optional(),
};

/** A trained family and its hyper-parameters; `recommender/configuration.ts` says what they mean. */
export const modelConfigurationSchema = z.discriminatedUnion('family', [
  z.strictObject({ family: z.literal('als'), ...factorization }),
  z.strictObject({ family: z.literal('als-biased'), ...factorization }),
  z.strictObject({ family: z.literal('als-implicit'), ...factorization, alpha: z.number().positive() }),
]);

const threshold = z.number().min(0).nullable();
const thresholdSchema = z.strictObject({ warn: threshold, error: threshold });

export const settingsSchema = z.strictObject({
  ingestion: z.strictObject({
    /** Reads the whole source and builds the snapshot anew, whatever has changed. */
    rebuild: z.boolean(),
  }),
  /** Evaluation on the stable holdout. */
  evaluation: z.strictObject({
    /** Seed of the split: CRC-32 of "user:movie:seed" modulo 5 equal to 0 is held out. */
    holdoutSeed: z.int(),
  }),
  /** Configurations that challenge the champion tonight; the first two are the A/B test. */
  challengers: z
    .array(modelConfigurationSchema)
    .min(2)
    .max(4)
    .refine(
      (all) => new Set(all.map((one) => JSON.stringify(one))).size === all.length,
      'expected configurations that differ',
    ),
  selection: z.strictObject({
    /** What decides: an error of predicted ratings, or a measure of ranked lists. */
    metric: z.enum(METRIC_NAMES),
    /** Least improvement of the metric for a promotion, in the metric's own unit. */
    minimumImprovement: z.number().min(0),
    /** Bootstrap resamples behind the interval, and their seed. */
    resamples: z.int().min(100).max(100_000),
    seed: z.int(),
    /** Least share of the catalogue that a challenger's lists must reach to be promoted, 0 to 1. */
    minimumCoverage: z.number().min(0).max(1),
    /** Most churn of a challenger's lists against the champion's for it to be promoted, 0 to 1; 1 is never asked. */
    maximumChurn: z.number().min(0).max(1),
  }),
  alarm: z.strictObject({
    /** Alert when the winner's holdout RMSE is above this, in stars. */
    rmseThreshold: z.number().positive(),
    /** Alert when the holdout RMSE is above that of the run before by more than this, in stars. */
    regressionMargin: z.number().min(0),
    /** What happens over the threshold: keep what is served, publish all the same, or wait for an operator's decision. */
    policy: z.enum(['block', 'publish', 'ask']),
    /** How long an operator may take; after that what is served stays. */
    askHours: z.number().positive().max(12),
  }),
  recommendations: z.strictObject({
    perUser: z.int().min(1).max(100),
    excludeRated: z.boolean(),
    /** Least number of ratings for a movie to be recommended. */
    minimumRatings: z.int().min(0),
  }),
  similar: z.strictObject({ perMovie: z.int().min(1).max(100), minimumRatings: z.int().min(0) }),
  trending: z.strictObject({
    rows: z.int().min(1),
    windowDays: z.int().min(1),
    minimumRecentRatings: z.int().min(1),
    /** Where the window ends: at the run's as-of, or at the newest rating (for historical data). */
    anchor: z.enum(['as_of', 'newest_rating']),
  }),
  quality: z.strictObject({
    /** What each check lets pass: `config/checks.ts`. */
    thresholds: z.record(z.enum(CHECK_NAMES), thresholdSchema),
    /** The good nights of an earlier as-of that a snapshot is held against. */
    history: z.strictObject({
      /** At most so many, the last ones. */
      runs: z.int().min(1).max(365),
      /** With fewer the checks on history are skipped. */
      minimumRuns: z.int().min(1),
      /** Accepts what this night finds: it is held against nothing, and later ones against nothing before it. */
      restart: z.boolean(),
    }),
  }),
  /** How long what is appended night by night is kept. */
  retention: z.strictObject({
    /** Results of checks, and the statistics that later nights are held against. */
    checkResultsDays: z.int().min(1),
    /** Nights whose samples of offending rows are kept, the last one included. */
    sampleNights: z.int().min(1),
    /** Days that an alert and its deliveries are kept. */
    alertDays: z.int().min(1),
    /** Nights whose evaluations, comparisons, A/B tests and grid searches are kept; those of kept versions stay. */
    experimentNights: z.int().min(1).max(100_000),
    /** Nights whose metrics of each user are kept; those of kept versions stay. */
    userMetricsNights: z.int().min(1).max(1_000),
    /** Days after which a grid search or A/B test that never came to its end is dropped; none goes on for a day. */
    abandonedDays: z.int().min(2),
  }),
  publishing: z.strictObject({
    /** Model versions kept for a rollback, the published one included. */
    keepVersions: z.int().min(1).max(20),
  }),
});

export type Settings = z.infer<typeof settingsSchema>;
export type ModelConfiguration = z.infer<typeof modelConfigurationSchema>;

/** A problem with what a person typed: one clear line, exit code 2, nothing changed. */
export class UsageError extends Error {
  override name = 'UsageError';
}

/**
 * Settings of a profile with `section.key=value` overrides; values are JSON, or else plain text.
 * @throws UsageError that names the option and what was wrong with it
 */
export function resolveSettings(profile: string, overrides: readonly string[] = []): Settings {
  if (!isProfile(profile)) {
    throw new UsageError(
      `--profile ${profile}: no such profile; there are ${Object.keys(profiles).join(', ')}`,
    );
  }
  return overrideSettings(profiles[profile], overrides);
}

/**
 * The same over settings that there are.
 * @throws UsageError as `resolveSettings`
 */
export function overrideSettings(defaults: Settings, overrides: readonly string[] = []): Settings {
  const settings = structuredClone(defaults) as unknown as Record<string, unknown>;
  const typed = new Map<string, string>();
  for (const override of overrides) applyOverride(settings, override, typed);
  const parsed = settingsSchema.safeParse(settings);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const path = issue.path.join('.');
    throw new UsageError(`--set ${typed.get(path) ?? path}: ${issue.message}`);
  }
  assertMeasurable(parsed.data);
  return parsed.data;
}

/**
 * Settings of a run as the ledger has them. What a setting that came later was then is the profile's default now.
 * @throws where they are none
 */
export function readSettings(profile: string, stored: unknown): Settings {
  const defaults = isProfile(profile) ? profiles[profile] : profiles.production;
  return settingsSchema.parse(overlay(defaults, stored));
}

/** What is stored over the defaults, at any depth; what there is no setting for any more is left out. */
function overlay(defaults: unknown, stored: unknown): unknown {
  if (!isSection(defaults) || !isSection(stored)) return stored;
  const kept = Object.entries(stored).filter(([key]) => Object.hasOwn(defaults, key));
  return {
    ...defaults,
    ...Object.fromEntries(kept.map(([key, value]) => [key, overlay(defaults[key], value)])),
  };
}

function isSection(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A challenger must have the metric that decides. */
function assertMeasurable({ challengers, selection: { metric } }: Settings): void {
  if (!isErrorMetric(metric) || challengers.every(({ family }) => family !== 'als-implicit')) return;
  throw new UsageError(
    `--set challengers: als-implicit predicts no ratings, and selection goes by ${metric}; expected als or als-biased, or selection.metric=ndcg@10 or another measure of lists`,
  );
}

function isProfile(name: string): name is ProfileName {
  return Object.hasOwn(profiles, name);
}

/** Short names of thresholds that are often changed. */
const SHORT_NAMES: Partial<Record<string, string>> = {
  'quality.minimumRatings': 'quality.thresholds.ratings_minimum.error',
  'quality.maximumRefusedShare': 'quality.thresholds.refused_share.error',
};

/** @param typed takes in what the setting was called by whoever gave it */
function applyOverride(
  settings: Record<string, unknown>,
  override: string,
  typed: Map<string, string>,
): void {
  const match = /^([a-z]\w*(?:\.\w+)*)=(.*)$/i.exec(override);
  if (match === null) throw new UsageError(`--set ${override}: expected section.key=value`);
  const name = Object.hasOwn(SHORT_NAMES, match[1]) ? (SHORT_NAMES[match[1]] ?? match[1]) : match[1];
  typed.set(name, match[1]);
  const path = name.split('.');
  const key = path[path.length - 1];
  let target: unknown = settings;
  for (const part of path.slice(0, -1)) target = child(target, part);
  if (typeof target !== 'object' || target === null || !Object.hasOwn(target, key)) {
    throw new UsageError(`--set ${match[1]}: no such setting; docs/configuration.md lists them`);
  }
  (target as Record<string, unknown>)[key] = parseValue(match[2]);
}

function child(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Record<string, unknown>)[key];
}

function parseValue(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** SHA-256 of the settings with keys in order: two runs with equal hashes computed the same thing. */
export function settingsHash(settings: Settings): string {
  return createHash('sha256').update(canonicalJson(settings)).digest('hex');
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
