import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { touchFreeMemory } from './free-memory.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nightjar-free-memory-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('as many bytes as are asked for, from a hole that is gone afterwards', async () => {
  expect(await touchFreeMemory(folder, 20_000_000)).toBe(20_000_000);
  expect(readdirSync(folder)).toEqual([]);
});

test('where nothing is free nothing is touched', async () => {
  expect(await touchFreeMemory(folder, 0)).toBe(0);
});
