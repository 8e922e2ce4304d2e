import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { inspect } from 'node:util';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { stateDirectories } from './reset.ts';
import { type Stack, removeState, startStack } from './index.ts';

let folder: string;
const started: (Stack | ChildProcess)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nightjar-stack-test-'));
  chmodSync(folder, 0o755);
});
afterEach(async () => {
  for (const one of started.splice(0)) {
    if ('stop' in one) await one.stop();
    else one.kill('SIGKILL');
  }
  await expect.poll(() => ours(), { timeout: 20_000 }).toEqual([]);
  for (const path of stateDirectories(folder)) rmSync(path, { recursive: true });
});

/** Nothing named by the environment: servers of our own. */
const env = { ...process.env, DATABASE_URL: '', TEMPORAL_ADDRESS: '', TEMPORAL_UI_URL: '' };

async function start(options: Partial<Parameters<typeof startStack>[0]> = {}): Promise<Stack> {
  const stack = await startStack({ stateDirectory: folder, env, log: () => undefined, ...options });
  started.push(stack);
  return stack;
}

/** Processes that have one of the test's folders in their command line. */
function ours(): string[] {
  const found = [];
  for (const directory of stateDirectories(folder)) {
    const { stdout } = spawnSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' });
    found.push(...stdout.split('\n').filter((line) => line.includes(directory)));
  }
  return found;
}

async function query(url: string | null, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url ?? '' });
  await client.connect();
  try {
    return (await client.query(text)).rows as unknown[];
  } finally {
    await client.end();
  }
}

/** A process of its own that starts the stack and says so. */
async function startInProcess(): Promise<{ process: ChildProcess; keeper: number }> {
  const script = `
    import { startStack } from '${new URL('./index.ts', import.meta.url).href}';
    await startStack({ stateDirectory: ${JSON.stringify(folder)}, log: () => undefined });
    console.log('up');
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  started.push(child);
  for await (const line of createInterface({ input: child.stdout })) if (line === 'up') break;
  const state = JSON.parse(readFileSync(join(folder, 'stack.json'), 'utf8')) as { keeper: number };
  return { process: child, keeper: state.keeper };
}

test('comes up, keeps its state, and leaves no process', async () => {
  const first = await start();
  await query(first.databaseUrl, 'create table kept as select 42 as answer');
  expect(ours().length).toBeGreaterThan(1);
  await first.stop();
  expect(ours()).toEqual([]);
  const second = await start();
  expect(await query(second.databaseUrl, 'select answer from kept')).toEqual([{ answer: 42 }]);
});

test('a second start attaches to the first, and ending it leaves the first up', async () => {
  const first = await start();
  const second = await start();
  expect(second).toMatchObject({
    attached: true,
    databaseUrl: first.databaseUrl,
    temporalAddress: first.temporalAddress,
  });
  await second.stop();
  expect(await query(first.databaseUrl, 'select 1 as one')).toEqual([{ one: 1 }]);
  await expect(removeState(() => undefined, folder)).rejects.toThrow('is running');
});

test('takes free ports where the usual ones are taken', async () => {
  const blockers = await Promise.all(
    [5432, 7233, 8233].map(
      (port) =>
        new Promise<ReturnType<typeof createServer>>((resolve) => {
          const server = createServer();
          // Somebody else has it already: taken all the same.
          server.on('error', () => resolve(server));
          server.listen(port, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  try {
    const { databaseUrl, temporalAddress, uiUrl } = await start();
    expect(databaseUrl).not.toContain(':5432/');
    expect(temporalAddress).not.toBe('127.0.0.1:7233');
    expect((await fetch(uiUrl ?? '')).ok).toBe(true);
  } finally {
    for (const server of blockers) server.close();
  }
});

test('nothing is left when whoever started it is killed', async () => {
  const { process: starter } = await startInProcess();
  expect(ours().length).toBeGreaterThan(1);
  starter.kill('SIGKILL');
  await expect.poll(() => ours(), { timeout: 20_000 }).toEqual([]);
  // And the next start finds a database that was shut down in order.
  expect(await query((await start()).databaseUrl, 'select 1 as one')).toEqual([{ one: 1 }]);
});

test('nothing is left when the keeper is killed', async () => {
  const { keeper } = await startInProcess();
  process.kill(keeper, 'SIGKILL');
  const servers = () => ours().filter((line) => !line.includes('--input-type=module'));
  await expect.poll(servers, { timeout: 20_000 }).toEqual([]);
});

test.runIf(process.getuid?.() === 0)('works under a folder that only root can enter', async () => {
  chmodSync(folder, 0o700);
  const stack = await start();
  expect(await query(stack.databaseUrl, 'select 1 as one')).toEqual([{ one: 1 }]);
  expect(existsSync(join(folder, 'state-is-elsewhere'))).toBe(true);
  await stack.stop();
  expect(ours()).toEqual([]);
  expect(await removeState(() => undefined, folder)).toHaveLength(2);
});

test('a command whose servers are named needs no folder', async () => {
  const { databaseUrl } = await start({ temporal: false });
  const elsewhere = join(folder, 'elsewhere');
  const named = { ...env, DATABASE_URL: databaseUrl ?? '' };
  await start({ temporal: false, env: named, stateDirectory: elsewhere });
  expect(existsSync(elsewhere)).toBe(false);
});

test('a named server that does not answer is an error at once, without its password', async () => {
  const failing = (named: Record<string, string>) => start({ env: { ...env, ...named } });
  const database = failing({ DATABASE_URL: 'postgresql://me:secret@127.0.0.1:1/night' });
  await expect(database).rejects.toThrow('DATABASE_URL names 127.0.0.1:1/night, which does not answer');
  await expect(database).rejects.not.toThrow('secret');
  const unparsable = await failing({ DATABASE_URL: 'postgresql://me:secret@host:99999999/night' }).catch(
    inspect,
  );
  expect(unparsable).toContain('cannot be parsed');
  expect(unparsable).not.toContain('secret');
  await expect(failing({ TEMPORAL_ADDRESS: '127.0.0.1:1' })).rejects.toThrow(
    'TEMPORAL_ADDRESS names 127.0.0.1:1, where no Temporal server answers',
  );
});

test('a command for another database does not use the Temporal server of a running stack', async () => {
  const { databaseUrl } = await start();
  const other = { ...env, DATABASE_URL: databaseUrl?.replace(/nightjar$/, 'postgres') };
  await expect(start({ env: other })).rejects.toThrow('works for another pair of servers');
  // The same pair by another way is the same pair, and the database alone is nobody's night.
  expect((await start({ env: { ...env, DATABASE_URL: databaseUrl ?? '' } })).attached).toBe(true);
  await expect(start({ env: other, temporal: false })).resolves.toBeDefined();
});
