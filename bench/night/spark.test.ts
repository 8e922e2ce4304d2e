import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkSpark, readSparkResult } from './spark.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nightjar-spark-'));
  writeFileSync(join(folder, 'spark_nightly.py'), '');
});
afterAll(() => rmSync(folder, { recursive: true }));

test('what is missing is named', () => {
  expect(() => checkSpark(join(folder, 'none'), {})).toThrow('expected a folder that has spark_nightly.py');
  expect(() => checkSpark(folder, {})).toThrow('in PG_JAR');
  expect(() => checkSpark(folder, { PG_JAR: '/no/such.jar' })).toThrow('in PG_JAR');
  const jar = join(folder, 'spark_nightly.py');
  expect(() => checkSpark(folder, { PG_JAR: jar, PATH: folder })).toThrow(
    'expected a python3 in PATH that has pyspark',
  );
});

test('its result as it writes it', () => {
  const result = {
    ...{ label: '', stock: false, mem: '8g', spark: '4.3.0', blas: 'x', rmse: 0.8, process_wall_s: 60 },
    stages: [
      { stage: 'session_start', wall_s: 6.8, cpu_s: 9, machine_cpu_s: 9, jvm_hwm_mb: 0, load_before: 0 },
      { stage: 'als_fit', wall_s: 6.6, cpu_s: 12, machine_cpu_s: 12, jvm_hwm_mb: 2500, load_before: 0 },
    ],
    total_timed_s: 13.4,
    peak_jvm_rss_mb: 2500,
  };
  expect(readSparkResult(JSON.stringify(result))).toEqual({
    wall_seconds: 13.4,
    peak_rss_mb: 2500,
    spark: '4.3.0',
    stages: [
      { name: 'session_start', seconds: 6.8 },
      { name: 'als_fit', seconds: 6.6 },
    ],
  });
});
