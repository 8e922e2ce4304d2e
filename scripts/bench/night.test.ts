import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startScript } from '../../test/support/scripts.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nightjar-bench-night-'));
  // PostgreSQL's own user goes through it.
  chmodSync(folder, 0o755);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function bench(line: string, env: Record<string, string> = {}) {
  return startScript(['bench', 'night', '--cache', folder, ...line.split(' ')], env).finished;
}

const READS = ['reads', 'p50_ms', 'p99_ms', 'p999_ms', 'max_ms', 'errors', 'empty', 'mixed'];

/** Two commands with servers of their own, four nights in all. */
const LONG = 300_000;

test(
  'three nights, a change before the second and the third, reads in the third: on standard output one object',
  async () => {
    const { code, stdout, stderr } = await bench(
      '--ratings 20000 --change 2% --readers 2 --reads-per-second 40 --set recommendations.perUser=5 --json',
      // Of the environment nothing may reach the measured night.
      {
        DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/none',
        SOURCE_DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/none',
      },
    );
    expect(code, stderr).toBe(0);
    expect(stdout.trim().split('\n')).toHaveLength(1);
    const report = JSON.parse(stdout) as Record<string, never>;
    for (const name of ['wall_seconds', 'orchestration_seconds']) expect(report[name]).toBeGreaterThan(0);
    expect(report.orchestration_seconds).toBeLessThan(report.wall_seconds);
    const {
      stages,
      reads,
      first_night: first,
      read_night: read,
      change,
    } = report as unknown as {
      stages: { name: string; seconds: number; rows: number }[];
      reads: Record<string, number>;
      first_night: { ratings: number; wall_seconds: number; reads: null };
      read_night: { ratings: number; wall_seconds: number; reads: object };
      change: Record<string, number>;
    };
    expect(stages.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['bronze', 'silver', 'split', 'refit', 'recommendations', 'publish']),
    );
    for (const stage of stages) expect(Object.keys(stage)).toEqual(['name', 'seconds', 'rows']);
    for (const name of READS) expect(reads[name], name).toBeGreaterThanOrEqual(0);
    expect(reads.reads).toBeGreaterThan(0);
    expect([reads.errors, reads.empty, reads.mixed]).toEqual([0, 0, 0]);
    expect(first).toMatchObject({ ratings: 20_000, reads: null });
    expect(report.ratings).toBe(
      first.ratings + change.fresh + change.newcomers + change.late - change.deleted,
    );
    expect(read.wall_seconds).not.toBe(report.wall_seconds);
    expect(read.ratings).toBeGreaterThan(report.ratings);
    expect(read.reads).toEqual(reads);
    expect(report).toMatchObject({ profile: 'small', spark: null, yardstick: {}, machine: {} });
    if (process.platform === 'linux') {
      expect(report.worker_peak_rss_mb).toBeGreaterThan(0);
      expect(report.postgres_memory).toMatchObject({ peak_mb: expect.any(Number) as number });
    }

    const again = await bench('--ratings 20000');
    expect(again.code, again.stderr).toBe(0);
    expect(again.stderr).toContain('source_20000, made by an earlier call');
    for (const text of ['20,000 ratings, profile small', 'orchestration', 'PostgreSQL alone', 'first night'])
      expect(again.stdout).toContain(text);
    // Of the nights only the source is left.
    expect(readFileSync(join(folder, 'logs/worker.log'), 'utf8')).toContain('worker has drained');
  },
  LONG,
);

test.each([
  ['--ratings 10', '--ratings', 'expected a whole number from 1000'],
  ['--ratings 20000 --data .', '--ratings or --data, not both', ''],
  ['--data /no/such/folder', '/no/such/folder', ''],
  ['--change 1', '--change', 'expected a share above 0% and up to 20%, such as 1%'],
  ['--change 30%', '--change', 'expected a share above 0% and up to 20%, such as 1%'],
  ['--readers 0', '--readers', 'expected a whole number from 1 to 64'],
  ['--reads-per-second 10', '--reads-per-second', 'expected with --readers only'],
  ['--profile fast', '--profile fast', 'no such profile'],
  ['--set alarm.policy=maybe', 'alarm.policy', ''],
  ['--spark /no/such/folder', '--spark /no/such/folder', 'expected a folder that has spark_nightly.py'],
])('%s: one line that names what was wrong, exit code 2', async (line, names, says) => {
  const { code, stdout, stderr } = await bench(line);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(stderr).toContain(names);
  expect(stderr).toContain(says);
  expect(stdout).toBe('');
  expect(code).toBe(2);
});
