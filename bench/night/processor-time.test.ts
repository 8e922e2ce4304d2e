import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { machineSeconds, othersShare, processorTime, treeSeconds } from './processor-time.ts';

test('of the machine all but idle and waiting for disks', () => {
  expect(machineSeconds('cpu  100 20 30 9999 5000 1 2 47 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n')).toBe(2);
});

test('of a process and whatever descends from it, those that have ended included', () => {
  const stat = (pid: number, parent: number, name: string, ...times: number[]): string =>
    `${pid} (${name}) S ${parent} 1 1 0 -1 0 0 0 0 0 ${times.join(' ')} 20 0 1`;
  const stats = [
    stat(30, 20, 'postgres: a (b) c', 100, 0, 0, 0),
    stat(20, 10, 'keeper', 0, 200, 400, 0),
    stat(10, 1, 'bench', 0, 0, 0, 800),
    stat(40, 1, 'somebody else', 9000, 0, 0, 0),
  ];
  expect(treeSeconds(stats, 10)).toBe(15);
  expect(treeSeconds(stats, 30)).toBe(1);
});

test('others have what the machine did beyond our own', () => {
  const [before, after] = [
    { own: 10, machine: 100 },
    { own: 25, machine: 120 },
  ];
  expect(othersShare(before, after, { seconds: 10, processors: 2 })).toBe(0.25);
  expect(othersShare(before, { own: 40, machine: 120 }, { seconds: 10, processors: 2 })).toBe(0);
});

test.skipIf(process.platform !== 'linux')('what a child does counts as ours when it has ended', async () => {
  const before = await processorTime(process.pid);
  spawnSync(process.execPath, ['-e', 'const end = Date.now() + 400; while (Date.now() < end);']);
  const after = await processorTime(process.pid);
  expect((after?.own ?? 0) - (before?.own ?? 0)).toBeGreaterThan(0.05);
  expect((after?.machine ?? 0) - (before?.machine ?? 0)).toBeGreaterThan(0.05);
});
