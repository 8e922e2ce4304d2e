import { expect, test } from 'vitest';
import { forgetPeak, parentOf, peakMegabytes, serverMemory, statusMegabytes, watchServer } from './memory.ts';

const status = (anonymous: number, shared: number): string =>
  `Name:\tpostgres\nPPid:\t1\nVmHWM:\t  999 kB\nRssAnon:\t${anonymous} kB\nRssFile:\t 7 kB\nRssShmem:\t${shared} kB\n`;

test('a field of a status in megabytes', () => {
  expect(statusMegabytes(status(2048, 512), 'RssAnon')).toBe(2);
  expect(statusMegabytes(status(2048, 512), 'VmPeak')).toBeNull();
  expect(statusMegabytes('', 'RssAnon')).toBeNull();
});

test('private memory is added, of shared memory the largest is taken', () => {
  expect(serverMemory([status(1024, 2048), status(2048, 4096), ''])).toEqual({
    peak_mb: 7,
    private_mb: 3,
    shared_mb: 4,
  });
  expect(serverMemory(['', ''])).toBeNull();
});

test.skipIf(process.platform !== 'linux')(
  'of this process: what it takes, and from when its peak counts',
  async () => {
    const HUNDRED_MEGABYTES = 100 * 2 ** 20;
    const held = Buffer.alloc(HUNDRED_MEGABYTES, 1);
    const watched = watchServer(process.pid);
    await new Promise((resolve) => globalThis.setTimeout(resolve, 10));
    const server = await watched();
    const peak = await peakMegabytes(process.pid);
    expect(server?.private_mb).toBeGreaterThan(100);
    expect(peak).toBeGreaterThan(100);
    expect(held[HUNDRED_MEGABYTES - 1]).toBe(1);
    expect(await parentOf(process.pid)).toBe(process.ppid);
  },
);

test('a process that is gone has no peak, and forgetting it is no error', async () => {
  const GONE = 2 ** 22 + 1;
  await forgetPeak(GONE);
  expect(await peakMegabytes(GONE)).toBeNull();
  expect(await watchServer(GONE)()).toBeNull();
});
