import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { readEnvironment } from './environment.ts';
import { UsageError, readSettings, resolveSettings, settingsHash } from './settings.ts';

const TWIN = { family: 'als', rank: 5, iterations: 5, regularization: 0.1, seed: 1 };

test('a profile is a set of defaults, and an override changes one of them', () => {
  expect(resolveSettings('production').quality.thresholds.ratings_minimum.error).toBe(10_000_000);
  expect(
    resolveSettings('small', ['quality.thresholds.freshness.error=5']).quality.thresholds.freshness,
  ).toEqual({ warn: 2, error: 5 });
  expect(
    resolveSettings('small', ['quality.minimumRatings=5']).quality.thresholds.ratings_minimum.error,
  ).toBe(5);
  expect(resolveSettings('small').trending.anchor).toBe('newest_rating');
  expect(resolveSettings('small', ['alarm.policy=publish']).alarm.policy).toBe('publish');
});

test.each([
  [['nosuch.key=1'], 'nosuch.key: no such setting'],
  [['quality.nosuch=1'], 'quality.nosuch: no such setting'],
  [['quality.minimumRatings'], 'expected section.key=value'],
  [['quality.minimumRatings=-1'], '--set quality.minimumRatings'],
  [['quality.minimumRatings=many'], '--set quality.minimumRatings'],
  [['quality.thresholds.freshness.error=-1'], '--set quality.thresholds.freshness.error'],
  [['quality.thresholds.nosuch.error=1'], 'no such setting'],
  [['alarm.policy=shout'], '--set alarm.policy'],
  [[`challengers=${JSON.stringify([TWIN, TWIN])}`], '--set challengers: expected configurations that differ'],
  [['constructor.name=x'], 'no such setting'],
  [['__proto__.polluted=1'], '--set __proto__.polluted=1: expected'],
])('refuses %s in one line that names it', (overrides, says) => {
  const refusal = () => resolveSettings('small', overrides);
  expect(refusal).toThrow(UsageError);
  expect(refusal).toThrow(says);
});

test('refuses a profile that there is not', () => {
  expect(() => resolveSettings('huge')).toThrow(
    '--profile huge: no such profile; there are small, production',
  );
});

test('the hash is of what is computed, not of how it was written', () => {
  const plain = resolveSettings('small');
  expect(settingsHash(resolveSettings('small', ['quality.minimumRatings=1000']))).toBe(settingsHash(plain));
  expect(settingsHash(resolveSettings('small', ['quality.minimumRatings=1001']))).not.toBe(
    settingsHash(plain),
  );
});

test('the environment is validated, and a refusal never shows a value', () => {
  const good = { DATABASE_URL: 'postgresql://me:secret@db/night' };
  expect(readEnvironment(good).NIGHTJAR_TRAINING_SLOTS).toBe(1);
  expect(() => readEnvironment({})).toThrow('DATABASE_URL is not set');
  expect(() => readEnvironment({ ...good, NIGHTJAR_THREADS: 'all' })).toThrow('NIGHTJAR_THREADS');
  expect(() => readEnvironment({ ...good, NIGHTJAR_ACTIVITY_SLOTS: '20' })).toThrow(
    'NIGHTJAR_POOL_SIZE: expected at least 23',
  );
  const wrong = () => readEnvironment({ DATABASE_URL: 'mysql://me:secret@db/night' });
  expect(wrong).toThrow('DATABASE_URL: expected postgresql://');
  expect(wrong).not.toThrow('secret');
});

test('production takes a bundle of the workflows that is there, and nothing else', () => {
  const production = { DATABASE_URL: 'postgresql://me@db/night', NODE_ENV: 'production' };
  const refusal = (env: NodeJS.ProcessEnv) => () => readEnvironment(env);
  const unset = refusal(production);
  expect(unset).toThrow(UsageError);
  expect(unset).toThrow('NIGHTJAR_WORKFLOW_BUNDLE is not set');
  expect(unset).toThrow('npm run bundle');
  expect(refusal({ ...production, NIGHTJAR_WORKFLOW_BUNDLE: '' })).toThrow('is not set');
  const missing = refusal({ ...production, NIGHTJAR_WORKFLOW_BUNDLE: '/nowhere/bundle.js' });
  expect(missing).toThrow(UsageError);
  expect(missing).toThrow('NIGHTJAR_WORKFLOW_BUNDLE names a file that there is not');
  const bundle = fileURLToPath(import.meta.url);
  expect(readEnvironment({ ...production, NIGHTJAR_WORKFLOW_BUNDLE: bundle }).NIGHTJAR_WORKFLOW_BUNDLE).toBe(
    bundle,
  );
  expect(readEnvironment({ ...production, NODE_ENV: 'test' }).NIGHTJAR_WORKFLOW_BUNDLE).toBeUndefined();
});

test('a channel of alerts is configured as a whole or not at all, and a refusal never shows a value', () => {
  const read = (env: NodeJS.ProcessEnv) => () =>
    readEnvironment({ DATABASE_URL: 'postgresql://me@db/night', ...env });
  const mail = {
    NIGHTJAR_ALERT_EMAIL_TO: 'on-call@example.org, team@example.org',
    NIGHTJAR_ALERT_EMAIL_FROM: 'nightjar@example.org',
    NIGHTJAR_SMTP_URL: 'smtp://me:secret@mail',
  };
  expect(read(mail)().NIGHTJAR_ALERT_EMAIL_TO).toEqual(['on-call@example.org', 'team@example.org']);
  expect(read({ ...mail, NIGHTJAR_ALERT_EMAIL_FROM: '' })).toThrow('NIGHTJAR_ALERT_EMAIL_FROM is not set');
  expect(read({ ...mail, NIGHTJAR_ALERT_EMAIL_TO: 'nobody' })).toThrow(
    'NIGHTJAR_ALERT_EMAIL_TO: expected addresses',
  );
  expect(read({ ...mail, NIGHTJAR_SMTP_URL: 'http://me:secret@mail' })).toThrow(
    'NIGHTJAR_SMTP_URL: expected smtp://',
  );
  expect(read({ NIGHTJAR_ALERT_WEBHOOK_SECRET: 'x'.repeat(16) })).toThrow(
    'NIGHTJAR_ALERT_WEBHOOK_URL is not set',
  );
  const short = read({
    NIGHTJAR_ALERT_WEBHOOK_URL: 'https://hook/secret',
    NIGHTJAR_ALERT_WEBHOOK_SECRET: 'secret',
  });
  expect(short).toThrow('NIGHTJAR_ALERT_WEBHOOK_SECRET: expected at least 16 characters');
  expect(short).not.toThrow('/secret');
});

test('a run of before a setting was there has its default, and what is no setting any more is left out', () => {
  const now = resolveSettings('small', ['alarm.rmseThreshold=0.9']);
  const stored = JSON.parse(JSON.stringify(now)) as Record<string, Record<string, unknown>>;
  delete stored.retention;
  delete stored.alarm.regressionMargin;
  delete stored.quality.thresholds;
  stored.quality.maximumAgeDays = 2;
  expect(readSettings('small', stored)).toEqual(now);
  const thresholds = { ...now.quality.thresholds, list_churn: undefined, forgotten: { warn: 1, error: 1 } };
  stored.quality.thresholds = JSON.parse(JSON.stringify(thresholds));
  expect(readSettings('small', stored)).toEqual(now);
  expect(() => readSettings('small', { ...stored, challengers: [] })).toThrow();
});
