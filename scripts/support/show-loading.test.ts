import { expect, test } from 'vitest';
import { showLoading } from './show-loading.ts';

test('where lines stay there is one now and then, with rows, share and what is left', () => {
  const written: string[] = [];
  let clock = 0;
  const stream = { write: (line: string) => written.push(line) } as unknown as NodeJS.WriteStream;
  const { update, done } = showLoading(stream, () => clock);
  for (let second = 0; second <= 10; second++) {
    clock = second * 1000;
    update({ what: 'ratings', done: second * 500_000, share: second / 40 });
  }
  clock = 20_000;
  update({ what: 'zip', done: 0, share: 0 });
  clock = 26_000;
  update({ what: 'zip', done: 62_500_000, share: 0.25 });
  done();
  expect(written).toEqual([
    'loading ratings: 2,500,000 rows, 12%, about 35 s left\n',
    'loading ratings: 5,000,000 rows, 25%, about 30 s left\n',
    'downloading: 63 MB, 25%, about 18 s left\n',
  ]);
});
