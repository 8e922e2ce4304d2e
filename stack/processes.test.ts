import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { isAlive } from './processes.ts';

test('a script that npm runs by a shell notices that npm was killed', async () => {
  const script = `
    import { whenOrphaned } from '${new URL('./processes.ts', import.meta.url).href}';
    whenOrphaned(() => process.exit(0));
    console.log(process.pid);
    setInterval(() => undefined, 1000);`;
  // As npm does: the shell stays between, because it has something left to do.
  const npm = spawn(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `import { spawn } from 'node:child_process';
       spawn('sh', ['-c', '"$NODE" --input-type=module --eval "$SCRIPT"; :'], { stdio: 'inherit' });
       setInterval(() => undefined, 1000);`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, NODE: process.execPath, SCRIPT: script } },
  );
  const [said] = (await once(npm.stdout, 'data')) as [Buffer];
  const pid = Number(said.toString());
  expect(isAlive(pid)).toBe(true);
  npm.kill('SIGKILL');
  await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
});
