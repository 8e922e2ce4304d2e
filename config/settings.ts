/**
 * Settings of a run: what a night computes and how it decides. A profile names a set of defaults; a caller
 * overrides single values with `section.key=value`. The run ledger keeps the resolved settings, and every
 * activity of the run reads them there.
 */

import { createHash } from 'node:crypto';
import { z } from 'zod';
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

export const settingsSchema = z.strictObject({
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
      (all) => all.every(({ family }) => family !== 'als-implicit'),
      'expected families that predict ratings, because selection goes by RMSE: als or als-biased',
    )
    .refine(
      (all) => new Set(all.map((one) => JSON.stringify(one))).size === all.length,
      'expected configurations that differ',
    ),
  selection: z.strictObject({
    metric: z.literal('rmse'),
    /** Least improvement of the metric for a promotion, in the metric's own unit. */
    minimumImprovement: z.number().min(0),
    /** Bootstrap resamples behind the interval, and their seed. */
    resamples: z.int().min(100).max(100_000),
    seed: z.int(),
  }),
  alarm: z.strictObject({
    /** Alert when the winner's holdout RMSE is above this, in stars. */
    rmseThreshold: z.number().positive(),
    /** What happens then: keep what is served, or publish all the same. */
    policy: z.enum(['block', 'publish']),
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
    minimumRatings: z.int().min(1),
    /** Largest share of bronze rows that may be refused, 0 to 1. */
    maximumRefusedShare: z.number().min(0).max(1),
    /** Newest rating may be this much older than the as-of. */
    maximumAgeDays: z.number().positive(),
    freshnessSeverity: z.enum(['warn', 'error']),
  }),
  publishing: z.strictObject({
    /** Model versions kept for a rollback, the published one included. */
    keepVersions: z.int().min(1).max(20),
  }),
  /** How long what every night appends is kept, in nights: runs of the ledger, however they ended. */
  retention: z
    .strictObject({
      /** Evaluations, comparisons, A/B tests and grid searches; those of kept versions stay in any case. */
      experimentNights: z.int().min(1).max(100_000),
      /** Metrics of each user of each twin; those of kept versions stay in any case. */
      userMetricsNights: z.int().min(1).max(1_000),
    })
    // A night that an earlier release has begun has none with its settings.
    .default(() => profiles.production.retention),
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
  const settings = structuredClone(profiles[profile]) as unknown as Record<string, unknown>;
  for (const override of overrides) applyOverride(settings, override);
  const parsed = settingsSchema.safeParse(settings);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new UsageError(`--set ${issue.path.join('.')}: ${issue.message}`);
  }
  return parsed.data;
}

function isProfile(name: string): name is ProfileName {
  return Object.hasOwn(profiles, name);
}

function applyOverride(settings: Record<string, unknown>, override: string): void {
  const match = /^([a-z]\w*(?:\.\w+)*)=(.*)$/i.exec(override);
  if (match === null) throw new UsageError(`--set ${override}: expected section.key=value`);
  const path = match[1].split('.');
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
