import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';

function hasAutogroups(): boolean {
  try {
    readFileSync('/proc/self/autogroup');
    return readFileSync('/proc/sys/kernel/sched_autogroup_enabled', 'utf8').trim() === '1';
  } catch {
    return false;
  }
}

const script = `
  const { readFileSync } = await import('node:fs');
  const { yieldToOtherSessions } = await import(${JSON.stringify(new URL('./precedence.ts', import.meta.url))});
  yieldToOtherSessions();
  console.log(readFileSync('/proc/self/autogroup', 'utf8'));`;

test.skipIf(!hasAutogroups()).each([
  [true, /nice 10$/],
  [false, /nice 0$/],
])('in a session of its own (%s) others go first, in no other', async (detached, expected) => {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    detached,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  expect((await text(child.stdout)).trim()).toMatch(expected);
});
