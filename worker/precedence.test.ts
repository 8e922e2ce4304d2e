import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';

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
  const nicenessOfSession = () => readFileSync('/proc/self/autogroup', 'utf8').trim();
  const before = nicenessOfSession();
  yieldToOtherSessions();
  console.log(JSON.stringify({ before, after: nicenessOfSession() }));`;

async function nicenessOfSession(detached: boolean): Promise<{ before: string; after: string }> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    detached,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(await text(child.stdout)) as { before: string; after: string };
}

describe.skipIf(!hasAutogroups())('the niceness of a session', () => {
  test('of its own is such that others go first', async () => {
    const { before, after } = await nicenessOfSession(true);
    expect(before).toMatch(/nice 0$/);
    expect(after).toMatch(/nice 10$/);
  });

  // The session in which a machine starts has no group, and nothing to read of it.
  test('of its parent too stays as it is', async () => {
    const { before, after } = await nicenessOfSession(false);
    expect(after).toBe(before);
  });
});
