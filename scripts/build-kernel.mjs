// Compiles the engine's kernel (AssemblyScript) where its sources have changed: a second. Plain JavaScript, because an
// install runs it on whatever Node there is.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const OPTIONS = [
  ...['-O3', '--noAssert', '--runtime', 'stub'],
  // 65,536 pages are all that 32-bit addresses reach.
  ...['--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536'],
  ...['--enable', 'simd', '--enable', 'threads', '--enable', 'bulk-memory', '--enable', 'relaxed-simd'],
];

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const sources = join(root, 'recommender', 'kernel');
const target = join(root, 'build', 'kernel.wasm');
const stamp = `${target}.sources`;

/** Builds what is missing or old; throws with the compiler's words where it fails. */
export function buildKernel() {
  const { version } = createRequire(import.meta.url)('assemblyscript/package.json');
  const hash = createHash('sha256').update(JSON.stringify([version, OPTIONS]));
  for (const file of readdirSync(sources).sort()) hash.update(file).update(readFileSync(join(sources, file)));
  const wanted = hash.digest('hex');
  if (existsSync(target) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  mkdirSync(dirname(target), { recursive: true });
  // Beside it first: whoever reads meanwhile sees a whole file.
  const built = `${target}.${process.pid}`;
  const compiler = join(root, 'node_modules', 'assemblyscript', 'bin', 'asc.js');
  const { status, stderr } = spawnSync(
    process.execPath,
    [compiler, join(sources, 'index.ts'), '-o', built, ...OPTIONS],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`the kernel does not compile:\n${stderr}`);
  renameSync(built, target);
  writeFileSync(stamp, wanted);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) buildKernel();
