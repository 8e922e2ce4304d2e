import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { NotEnoughMemoryError, RatingColumns, buildRatingMatrix, trainModel } from '../index.ts';
import { runThreads } from './pool.ts';

test('a crash in a thread is an error with its message, and no thread is left', async () => {
  await expect(runThreads('als', { scratch: [] }, { threads: 2 })).rejects.toThrow('WebAssembly');
  await expect(runThreads('no such task' as 'als', {}, { threads: 1 })).rejects.toThrow('is not a function');
  expect(process.getActiveResourcesInfo()).not.toContain('MessagePort');
});

test('threads that have done a task do the next, those of one that failed or was cancelled do not', async () => {
  let started = 0;
  const count = (): void => {
    started++;
  };
  process.on('worker', count);
  try {
    const users = Int32Array.from({ length: 5_000 }, (_, at) => at);
    const columns = { users, items: users, ratings: new Float32Array(5_000).fill(4) };
    const configuration = { family: 'als', rank: 8, regularization: 0.1, seed: 1 } as const;
    const matrix = await buildRatingMatrix(columns, { threads: 2 });
    const model = await trainModel(matrix, { ...configuration, iterations: 2 }, { threads: 2 });
    await expect(runThreads('als', { scratch: [] }, { threads: 2 })).rejects.toThrow('WebAssembly');
    expect(started).toBe(2);
    const cancelled = trainModel(
      matrix,
      { ...configuration, iterations: 100_000 },
      {
        threads: 2,
        signal: AbortSignal.timeout(300),
      },
    );
    await expect(cancelled).rejects.toThrow('timeout');
    expect(started).toBe(4);
    // Neither a task's data nor what a thread has kept of it gets into the next.
    expect(await trainModel(matrix, { ...configuration, iterations: 2 }, { threads: 2 })).toEqual(model);
    expect(started).toBe(6);
  } finally {
    process.off('worker', count);
  }
});

test('no compiled code is freed while threads run some', async () => {
  const program = `
void (async () => {
const { setFlagsFromString } = await import('node:v8');
const { buildRatingMatrix } = await import('./recommender/index.ts');
for (const flag of ['--trace-wasm-code-gc', '--stress-wasm-code-gc']) setFlagsFromString(flag);
const users = Int32Array.from({ length: 5_000 }, (_, at) => at);
await buildRatingMatrix({ users, items: users, ratings: new Float32Array(5_000).fill(4) }, { threads: 2 });
console.log('built');
process.exit(0);
})();`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--eval', program]);
  expect(stdout).toContain('built');
  // What V8 says of each time that it looks for code to free.
  expect(stdout).not.toContain('Triggering GC');
});

test('what the machine has no memory for is known before any is taken', async () => {
  const before = process.memoryUsage.rss();
  expect(() => new RatingColumns(400_000_000)).toThrow(NotEnoughMemoryError);
  expect(() => new RatingColumns(400_000_000)).toThrow(
    '400,000,000 ratings: needs 8.0 GB, more than the 4.3 GB that 32-bit addresses reach',
  );
  const matrix = await buildRatingMatrix({
    users: Int32Array.from({ length: 5_000 }, (_, at) => at),
    items: Int32Array.from({ length: 5_000 }, (_, at) => at % 3),
    ratings: new Float32Array(5_000).fill(4),
  });
  const regions = structuredClone(matrix.workspace.regions);
  const threads = 8_000;
  const training = trainModel(
    matrix,
    { family: 'als', rank: 256, iterations: 1, regularization: 0.1, seed: 1 },
    { threads },
  );
  await expect(training).rejects.toThrow(/training als of rank 256: needs/);
  // Nothing of the attempt stays behind.
  expect(matrix.workspace.regions).toEqual(regions);
  expect(process.memoryUsage.rss() - before).toBeLessThan(1e9);
});
