import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

/** Trains each family at ranks that fill tiles in every way, prints the hash of all factors and of the lists made from them. */
const PROGRAM = `
void (async () => {
const { createHash } = await import('node:crypto');
const { buildRatingMatrix, recommendTopN, trainModel } = await import('./recommender/index.ts');
const size = 20_000;
const users = Int32Array.from({ length: size }, (_, at) => at % 401);
const items = Int32Array.from({ length: size }, (_, at) => (Math.floor(at / 401) * 7 + (at % 401) * 3) % 350);
const ratings = Float32Array.from({ length: size }, (_, at) => 1 + ((at * 2654435761) >>> 8) % 9 / 2);
const matrix = await buildRatingMatrix({ users, items, ratings }, { threads: 1 });
const hash = createHash('sha256');
const add = (array) => hash.update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
for (const family of ['als', 'als-biased', 'als-implicit']) {
  for (const rank of [2, 5, 8, 10, 12, 30, 33]) {
    const alpha = family === 'als-implicit' ? { alpha: 1 } : {};
    const configuration = { family, rank, iterations: 2, regularization: 0.1, seed: 3, ...alpha };
    const model = await trainModel(matrix, configuration, { threads: 1 });
    add(model.userFactors);
    add(model.itemFactors);
    const lists = await recommendTopN(model, { n: 5, ratings: matrix, excludeRated: true, minimumRatings: 0, threads: 1 });
    add(lists.items);
    add(lists.scores);
  }
}
console.log('factors ' + hash.digest('hex'));
process.exit(0);
})();
`;

const folder = mkdtempSync(join(tmpdir(), 'nightjar-kernel-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** The program by the optimising compiler from the first call on, which alone makes wider vectors. */
function run(...flags: string[]): string {
  const file = join(folder, 'output');
  // Into a file: of what V8 writes into a pipe, parts were once not there.
  const output = openSync(file, 'w');
  try {
    const { status } = spawnSync(
      process.execPath,
      ['--no-liftoff', '--trace-wasm-revectorize', ...flags, '--eval', PROGRAM],
      { stdio: ['ignore', output, 'inherit'] },
    );
    expect(status).toBe(0);
  } finally {
    closeSync(output);
  }
  return readFileSync(file, 'utf8');
}

const hasAvx2 =
  process.platform === 'linux' &&
  process.arch === 'x64' &&
  readFileSync('/proc/cpuinfo', 'utf8').includes(' avx2');

test.skipIf(!hasAvx2)('factors have the same bits by vectors of 256 bits and of 128', () => {
  const [wide, narrow] = [run(), run('--no-enable-avx2')];
  const factorsOf = (output: string) => /^factors [0-9a-f]{64}$/m.exec(output)?.[0];
  expect(wide).toContain('Decide to vectorize');
  expect(narrow).not.toContain('Decide to vectorize');
  expect(factorsOf(wide)).toBeDefined();
  expect(factorsOf(wide)).toBe(factorsOf(narrow));
});
