import { spawn } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import type { PoolClient } from 'pg';
import { describe, expect, inject, test } from 'vitest';
import { connect } from '../database/connect.ts';
import { yieldBackend } from './precedence.ts';

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

describe.skipIf(!hasAutogroups())('the niceness of a PostgreSQL process', () => {
  const groupOf = (pid: number): string => readFileSync(`/proc/${pid}/autogroup`, 'utf8').trim();

  test('that serves the worker is such that others go first, and of another it stays as it is', async (context) => {
    const url = inject('databaseUrl');
    const worker = connect({ url, applicationName: 'nightjar-test', max: 1, onConnection: yieldBackend });
    const other = connect({ url, applicationName: 'nightjar-test', max: 1 });
    const niceness = async ({ pool }: typeof worker): Promise<string | null> => {
      const { rows } = await pool.query<{ pid: number }>('select pg_backend_pid() as pid');
      try {
        accessSync(`/proc/${rows[0].pid}/autogroup`, constants.W_OK);
        return groupOf(rows[0].pid);
      } catch {
        return null;
      }
    };
    try {
      const before = await niceness(other);
      // A server of another host or user.
      if (before === null) return context.skip();
      expect(before).toMatch(/nice 0$/);
      await expect.poll(() => niceness(worker)).toMatch(/nice 10$/);
      expect(await niceness(other)).toBe(before);
    } finally {
      await worker.close();
      await other.close();
    }
  });

  test('is nothing that a number from another host gives to a process of this one', async () => {
    const argv0 = 'postgres: role database 127.0.0.1(4) idle';
    const child = spawn('sleep', ['60'], { argv0, detached: true, stdio: 'ignore' });
    try {
      await new Promise((resolve) => child.once('spawn', resolve));
      const stranger = { processID: child.pid, connection: { stream: { localPort: 5 } } };
      yieldBackend(stranger as unknown as PoolClient);
      expect(groupOf(child.pid ?? 0)).toMatch(/nice 0$/);
    } finally {
      child.kill();
    }
  });
});
