/** Finds the official command-line tool, which is also the development server, or builds it. */

import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory } from '../config/cache.ts';

/** The newest release that builds as a plain Go module: server 1.29.1, UI 2.42.1. */
const VERSION = 'v1.5.1';
const MODULE = `github.com/temporalio/cli/cmd/temporal@${VERSION}`;
/** The SDK's download takes seconds where it works at all. */
const DOWNLOAD_MILLISECONDS = 60_000;
/** Measured at 2.5 minutes on two cores. */
const BUILD_MILLISECONDS = 15 * 60_000;

/**
 * The path of a `temporal` that runs: on PATH, in our cache, downloaded by the SDK, or built into the cache.
 * (`TEMPORAL_ADDRESS` comes before all of them and needs no tool.)
 * @throws with everything that was tried and why it failed
 */
export async function findTemporal(env: NodeJS.ProcessEnv, log: (line: string) => void): Promise<string> {
  const tried: string[] = ['TEMPORAL_ADDRESS: not set'];
  const cache = join(cacheDirectory(env), `temporal-cli-${VERSION.slice(1)}`);
  const cached = join(cache, 'temporal');

  const onPath = runs('temporal', env);
  if (onPath === null) return 'temporal';
  tried.push(`temporal on PATH: ${onPath}`);

  const inCache = existsSync(cached) ? runs(cached, env) : 'not there';
  if (inCache === null) return cached;
  tried.push(`${cached}: ${inCache}`);

  mkdirSync(cache, { recursive: true });
  const ways: [string, (target: string) => Promise<void>][] = [
    ["the SDK's download", download],
    [`go install ${MODULE}`, (target) => build(target, env, log)],
  ];
  for (const [name, obtain] of ways) {
    // In a folder of its own and then renamed, so that two processes at once never see half a file.
    const partial = mkdtempSync(join(cache, 'partial-'));
    try {
      await obtain(partial);
      const file = readdirSync(partial).find((entry) => entry.startsWith('temporal'));
      if (file === undefined) throw new Error('it left no file');
      chmodSync(join(partial, file), 0o755);
      renameSync(join(partial, file), cached);
      const problem = runs(cached, env);
      if (problem === null) return cached;
      throw new Error(problem);
    } catch (error) {
      tried.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      rmSync(partial, { recursive: true, force: true });
    }
  }
  throw new Error(
    `no Temporal server. Tried:\n${tried.map((line) => `  ${line}`).join('\n')}\nSet TEMPORAL_ADDRESS, or put the temporal tool on PATH (https://docs.temporal.io/cli)`,
  );
}

/** Null where the tool answers, else why not. */
function runs(command: string, env: NodeJS.ProcessEnv): string | null {
  const { error, status } = spawnSync(command, ['--version'], { env, stdio: 'ignore', timeout: 10_000 });
  if (error !== undefined)
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'not found' : error.message;
  return status === 0 ? null : `--version ended with code ${status}`;
}

async function download(target: string): Promise<void> {
  const { TestWorkflowEnvironment } = await import('@temporalio/testing');
  const environment = TestWorkflowEnvironment.createLocal({
    server: { executable: { type: 'cached-download', version: VERSION, downloadDir: target } },
  });
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`took over ${DOWNLOAD_MILLISECONDS / 1000} s`)),
      DOWNLOAD_MILLISECONDS,
    );
  });
  try {
    await (await Promise.race([environment, tooLong])).teardown();
  } catch (error) {
    throw new Error(error instanceof Error ? error.message.split('\n')[0] : String(error), { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

async function build(target: string, env: NodeJS.ProcessEnv, log: (line: string) => void): Promise<void> {
  if (spawnSync('go', ['version'], { env, stdio: 'ignore' }).status !== 0)
    throw new Error('go is not installed');
  log(`building the Temporal server with ${MODULE.split('@')[0]} ${VERSION}: once, about three minutes`);
  const started = Date.now();
  const minutes = setInterval(
    () => log(`still building the Temporal server, ${Math.round((Date.now() - started) / 1000)} s`),
    30_000,
  );
  try {
    await new Promise<void>((resolve, reject) => {
      const go = spawn('go', ['install', MODULE], {
        env: { ...env, GOBIN: target, GOFLAGS: '' },
        stdio: ['ignore', 'ignore', 'pipe'],
        timeout: BUILD_MILLISECONDS,
      });
      let said = '';
      go.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-500)));
      go.on('error', reject);
      go.on('exit', (code, signal) => {
        if (code === 0) resolve();
        else
          reject(
            new Error(`ended with ${signal ?? `code ${code}`}: ${said.trim().split('\n').at(-1) ?? ''}`),
          );
      });
    });
  } finally {
    clearInterval(minutes);
  }
}
