import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import getPort from 'get-port';
import { inject, expect, test } from 'vitest';
import { createTestDatabase } from '../test/support/database.ts';
import { SETS, writeFolder } from '../test/support/published-sets.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const unreachable = {
  DATABASE_URL: 'postgresql://me:secret@127.0.0.1:1/none',
  TEMPORAL_ADDRESS: '127.0.0.1:1',
};

function command(line: string, env: Record<string, string> = unreachable) {
  const [script, ...args] = line.split(' ');
  const { status, stdout, stderr } = spawnSync(process.execPath, [`${root}/scripts/${script}.ts`, ...args], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, ...env },
    timeout: 60_000,
  });
  return { status, stdout, stderr };
}

// Without servers: what is refused is refused before anything is asked for or changed.
test.each([
  ['nightly --as-of yesterday', '--as-of', 'expected an ISO instant'],
  ['nightly --as-of 2026-11-24T02:00:00', '--as-of', 'expected a zone'],
  ['nightly --as-of 2026-11-24t02:00:00Z', '--as-of', 'expected an ISO instant'],
  ['nightly --as-of 2026-02-31', '--as-of', 'expected an ISO instant'],
  ['nightly --as-of 2999-01-01', '--as-of', 'expected an instant that has come'],
  ['pipeline check --as-of 2026-13-01', '--as-of', 'expected an ISO instant'],
  ['nightly --profile huge', '--profile huge', 'there are small, production'],
  ['nightly --set quality.nosuch=1', '--set quality.nosuch', 'no such setting'],
  ['nightly --nosuch', '--nosuch', 'unknown option'],
  ['nightly surplus', '', 'too many arguments'],
  ['pipeline nightly --set alarm.policy=shout', '--set alarm.policy', ''],
  ['pipeline status --limit many', '--limit', 'expected a whole number'],
  ['pipeline nosuch', 'nosuch', 'unknown command'],
  ['pipeline nightly --candidate 0', '--candidate', 'expected a whole number from 1'],
  ['pipeline grid-search --run first', '--run', 'expected a whole number from 1'],
  ['pipeline grid-search --family popular', '--family', 'expected als, als-biased, als-implicit'],
  ['pipeline grid-search --rank 10,0', '--rank', 'expected a whole number from 1 to 256'],
  ['pipeline grid-search --rank 10,10', '--rank', 'expected values that differ'],
  ['pipeline grid-search --reg 0.1,', '--reg', 'expected a number above 0'],
  ['pipeline grid-search --iterations 1.5', '--iterations', 'expected a whole number from 1 to 100'],
  ['pipeline grid-search --alpha 2', '--alpha 2', 'only als-implicit has one'],
  ['pipeline grid-search --seed x', '--seed', 'expected a whole number from 0'],
  ['pipeline grid-search --metric auc', '--metric', 'Allowed choices are rmse, mae, precision@10'],
  ['pipeline grid-search --family als-implicit', '--metric rmse', 'als-implicit predicts no ratings'],
  [
    'pipeline grid-search --rank 1,2,3,4,5,6,7,8,9,10,11 --reg 1,2,3,4,5,6',
    '--rank',
    '66 points; expected 1 to 64',
  ],
  ['pipeline rerun --run 3', '--from', 'not specified'],
  ['pipeline rerun --from bronze', '--run', 'not specified'],
  ['pipeline rerun --run x --from bronze', '--run', 'expected a whole number from 1'],
  ['pipeline rerun --run 3 --from gold', '--from', 'expected one of source gate, bronze, bronze gate,'],
  ['pipeline rerun --run 3 --from bronze --actor=', '--actor', 'expected words, not nothing'],
  ['pipeline rollback', '--reason', 'not specified'],
  ['pipeline rollback --to 3 --reason=', '--reason', 'expected words, not nothing'],
  ['pipeline rollback --reason bad --actor=', '--actor', 'expected words, not nothing'],
  ['pipeline block --movie x --reason bad', '--movie', 'expected a whole number from 1'],
  ['pipeline block --movie 3', '--reason', 'not specified'],
  ['pipeline unblock', '--movie', 'not specified'],
  ['pipeline plan --as-of 2999-01-01', '--as-of', 'expected an instant that has come'],
  ['pipeline plan --set retention.nosuch=1', '--set retention.nosuch', 'no such setting'],
  ['pipeline compare 1 0', '0', 'expected the number of a run'],
  ['schedule backfill --from 2026-11-24 --to 2026-11-20', '--from', 'is later than --to'],
  ['schedule backfill --from 2026-10-01 --to 2999-01-01', '--to', 'expected an instant that has come'],
  ['schedule pause', '--note', 'not specified'],
  ['recommend', '--user', 'not specified'],
  ['recommend --user me', '--user', 'expected a whole number'],
  ['similar --movie 1.5', '--movie', 'expected a whole number'],
  ['data generate --ratings 3', '--ratings', 'expected a whole number from 1000'],
  ['data import', '--data PATH or --movielens NAME', 'expected'],
  ['data import --data x --movielens ml-1m', '--movielens', 'cannot be used with'],
  ['data import --movielens ml-2m', '--movielens', 'expected ml-100k, ml-1m, ml-10m, ml-20m'],
  ['data download ml-2m', 'ml-2m', 'expected ml-100k, ml-1m, ml-10m, ml-20m'],
  ['nightly --movielens ml-2m', '--movielens', 'expected ml-100k, ml-1m, ml-10m, ml-20m'],
  ['nightly --data /no/such/folder', '/no/such/folder', 'no such folder or file'],
  ['reset', '--yes', 'no terminal'],
])('%s: one line that names what was wrong, exit code 2', (line, names, says) => {
  const { status, stdout, stderr } = command(line);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(stderr).toContain(names);
  expect(stderr).toContain(says);
  expect(stdout).toBe('');
  expect(status).toBe(2);
});

test('a worker without its servers is one line without the password, and has help', () => {
  const worker = (args: string[], env: Record<string, string>) =>
    spawnSync(process.execPath, [`${root}/worker/main.ts`, ...args], {
      cwd: root,
      encoding: 'utf8',
      env: { ...process.env, ...env },
    });
  const lost = worker([], unreachable);
  expect(lost.stderr).toContain('worker: DATABASE_URL names 127.0.0.1:1/none, which does not answer');
  expect(lost.stderr.trim().split('\n')).toHaveLength(1);
  expect(lost.stderr).not.toContain('secret');
  expect(lost.status).toBe(1);
  expect(worker([], { DATABASE_URL: 'mysql://x' }).status).toBe(2);
  expect(worker(['--help'], {})).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('Usage: worker') as string,
  });
});

test('a database on which nothing has run is one line that says so', async () => {
  const database = await createTestDatabase({ migrate: false });
  try {
    const env = { DATABASE_URL: database.url, TEMPORAL_ADDRESS: inject('temporalAddress') };
    for (const line of ['pipeline status', 'pipeline digest', 'trending', 'recommend --user 1']) {
      const { status, stderr } = command(line, env);
      expect(stderr, line).toContain('nothing has run on this database yet: npm run nightly');
      expect(status, line).toBe(1);
    }
  } finally {
    await database.drop();
  }
});

test('a server that does not answer is one line without the password, exit code 1', () => {
  const { status, stderr } = command('pipeline status');
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(stderr).toContain('127.0.0.1:1');
  expect(stderr).not.toContain('secret');
  expect(status).toBe(1);
});

test('a site that does not answer is one line that names it, exit code 1; one that is none is bad input', async () => {
  const cache = mkdtempSync(join(tmpdir(), 'nightjar-cache-'));
  const site = `http://127.0.0.1:${await getPort()}/sets`;
  for (const line of ['data download ml-1m', 'data import --movielens ml-1m', 'nightly --movielens ml-1m']) {
    const env = { ...unreachable, NIGHTJAR_CACHE: cache, NIGHTJAR_MOVIELENS_URL: site };
    const { status, stderr, stdout } = command(line, env);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toContain(`ml-1m was not downloaded from ${site}/ml-1m.zip: connect ECONNREFUSED`);
    expect(stdout).toBe('');
    expect(status, line).toBe(1);
  }
  const wrong = command('data download ml-1m', { NIGHTJAR_CACHE: cache, NIGHTJAR_MOVIELENS_URL: 'sets' });
  expect(wrong.stderr).toBe('data: NIGHTJAR_MOVIELENS_URL: expected an http or https URL\n');
  expect(wrong.status).toBe(2);
  rmSync(cache, { recursive: true });
});

test('a source that is not ours is one line, exit code 2, whatever is to be loaded', async () => {
  const database = await createTestDatabase();
  try {
    await database.pool.query('insert into movielens.ratings (user_id) values (1)');
    const set = writeFolder(mkdtempSync(join(tmpdir(), 'nightjar-set-')), SETS.csv);
    const env = { SOURCE_DATABASE_URL: database.url };
    for (const line of ['data generate --ratings 1000', `data import --data ${set}`]) {
      const { status, stderr } = command(line, env);
      expect(stderr.trim().split('\n')).toHaveLength(1);
      expect(stderr).toContain('the source holds ratings that Nightjar did not load');
      expect(status, line).toBe(2);
    }
    const { rows } = await database.pool.query('select user_id from movielens.ratings');
    expect(rows).toEqual([{ user_id: 1 }]);
    rmSync(set, { recursive: true });
  } finally {
    await database.drop();
  }
});

test('every npm script has help with examples', () => {
  const { scripts } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as {
    scripts: Record<string, string>;
  };
  const names = Object.values(scripts).flatMap((script) => /scripts\/(\w+)\.ts/.exec(script)?.[1] ?? []);
  expect(names.length).toBeGreaterThanOrEqual(9);
  for (const name of names) {
    const { status, stdout } = command(`${name} --help`);
    expect(status, name).toBe(0);
    expect(stdout, name).toContain(`Usage: ${name}`);
    if (!['pipeline', 'data', 'schedule'].includes(name)) expect(stdout, name).toContain('Examples:');
  }
});

test('an unknown folder to import changes nothing', async () => {
  const database = await createTestDatabase();
  try {
    const { status, stderr } = command('data import --data /no/such/folder', {
      DATABASE_URL: database.url,
      TEMPORAL_ADDRESS: inject('temporalAddress'),
    });
    expect(stderr).toContain('/no/such/folder');
    expect(status).toBe(2);
    const { rows } = await database.pool.query('select count(*) as rows from movielens.ratings');
    expect(rows).toEqual([{ rows: 0 }]);
  } finally {
    await database.drop();
  }
});

test('readers and migrate speak JSON on standard output, and nothing else there', async () => {
  const database = await createTestDatabase();
  try {
    const env = { DATABASE_URL: database.url, TEMPORAL_ADDRESS: inject('temporalAddress') };
    const json = (line: string): unknown => JSON.parse(command(`${line} --json`, env).stdout);
    expect(json('migrate')).toEqual({ applied: [] });
    expect(json('pipeline status')).toEqual([]);
    expect(json('pipeline versions')).toEqual([]);
    expect(json('trending')).toEqual([]);
    expect(json('data status')).toEqual({ state: 'empty', rows: 0 });
    const nobody = command('recommend --user 1', env);
    expect(nobody.stderr).toContain('nothing is published yet');
    expect(nobody.status).toBe(1);
  } finally {
    await database.drop();
  }
});
