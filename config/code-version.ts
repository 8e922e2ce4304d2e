import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** The commit that runs, or the package's version where there is no repository. */
export function codeVersion(configured?: string): string {
  if (configured !== undefined) return configured;
  const root = new URL('..', import.meta.url);
  try {
    return execFileSync('git', ['rev-parse', '--short=12', 'HEAD'], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    const { version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as {
      version: string;
    };
    return version;
  }
}
