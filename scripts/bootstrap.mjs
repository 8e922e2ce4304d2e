// Before any command: installs what package-lock.json names, once, and builds the kernel where it changed. Plain
// JavaScript for whatever Node there is.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamp = join(root, 'node_modules', '.nightjar-installed');
const lock = join(root, '.install-lock');
const wanted = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex');

const installed = () => existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted;
const pause = (milliseconds) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);

function takeLock() {
  for (;;) {
    try {
      mkdirSync(lock);
      return;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
      // An install takes a minute or two; one that is older was killed.
      if (Date.now() - statSync(lock, { throwIfNoEntry: false })?.mtimeMs > 15 * 60_000)
        rmSync(lock, { recursive: true });
      pause(300);
      if (installed()) process.exit(0);
    }
  }
}

if (!installed()) {
  takeLock();
  try {
    console.error('installing what package-lock.json names: once, about a minute');
    const { status } = spawnSync(
      'npm',
      ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'],
      {
        cwd: root,
        stdio: ['ignore', 2, 2],
        shell: process.platform === 'win32',
      },
    );
    if (status !== 0) {
      console.error('npm ci failed: see above; check the network and the registry, then try again');
      process.exitCode = 1;
    } else {
      execFileSync(join(root, 'node_modules', '.bin', 'node'), ['--version']);
      writeFileSync(stamp, wanted);
    }
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

if (process.exitCode === undefined) {
  const { buildKernel } = await import('./build-kernel.mjs');
  buildKernel();
}
