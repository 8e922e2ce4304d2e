import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const DOT_ENV = fileURLToPath(new URL('../.env', import.meta.url));

/** Adds what the project's `.env` sets and the environment does not; every process does so first of all. */
export function loadDotEnv(): void {
  if (existsSync(DOT_ENV)) process.loadEnvFile(DOT_ENV);
}
