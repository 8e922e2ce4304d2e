import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['**/*.test.ts'],
    exclude: ['node_modules/**', '.nightjar/**'],
    globalSetup: ['test/support/global-setup.ts'],
    // Real servers and whole nights: generous, so that a slow machine fails nothing that is right.
    testTimeout: 120_000,
    hookTimeout: 300_000,
    // Two cores: more files at once only take each other's time.
    maxWorkers: 2,
  },
});
