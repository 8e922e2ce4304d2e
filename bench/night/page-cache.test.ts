import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fillPageCache } from './page-cache.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nightjar-page-cache-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('fills the cache from a hole: no disk is used, and no name is left', async () => {
  const bytes = 20_000_000;
  const file = await fillPageCache(folder, bytes);
  const stats = await file?.stat();
  expect(stats?.size).toBe(bytes);
  expect(stats?.blocks).toBe(0);
  expect(readdirSync(folder)).toEqual([]);
  await file?.close();
});

test('where nothing is free there is nothing to fill', async () => {
  expect(await fillPageCache(folder, 0)).toBeNull();
});
