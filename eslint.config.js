import eslint from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

/**
 * The arrows of the house: which folder may import which. Everything that is not listed for a folder is
 * forbidden there; `types` may be imported as types only.
 */
const ARROWS = {
  recommender: {},
  config: {},
  database: {},
  temporal: { values: ['config', 'workflows'] },
  data: { values: ['config', 'database', 'recommender'] },
  stack: { values: ['config', 'database', 'temporal'] },
  activities: { values: ['config', 'database', 'recommender'] },
  workflows: { types: ['activities', 'config'] },
  bench: { values: ['config', 'data', 'database', 'recommender'] },
  worker: { values: ['activities', 'config', 'database', 'temporal', 'workflows'] },
  scripts: { values: ['bench', 'config', 'data', 'database', 'stack', 'temporal', 'workflows'] },
};

const FOLDERS = [...Object.keys(ARROWS), 'test'];

const arrows = Object.entries(ARROWS).map(([folder, { values = [], types = [] }]) => ({
  files: [`${folder}/**/*.ts`],
  ignores: ['**/*.test.ts'],
  rules: {
    '@typescript-eslint/no-restricted-imports': [
      'error',
      {
        patterns: FOLDERS.filter((other) => other !== folder && !values.includes(other)).map((other) => ({
          regex: `^(\\.\\./)+${other}/`,
          allowTypeImports: types.includes(other),
          message: `${folder} does not import ${other}: see docs/architecture.md.`,
        })),
      },
    ],
  },
}));

export default defineConfig(
  // AssemblyScript, which its own compiler checks.
  { ignores: ['node_modules/', '.nightjar/', 'build/', 'recommender/kernel/'] },
  eslint.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // Numbers in messages are what messages are for.
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      // Arrow functions that only pass a call on read better without braces.
      '@typescript-eslint/no-confusing-void-expression': 'off',
    },
  },
  {
    files: ['**/*.{js,mjs}'],
    languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly' } },
  },
  {
    // Workflow code is replayed: nothing of Node's own, no clock but the SDK's.
    files: ['workflows/**/*.ts'],
    ignores: ['**/*.test.ts'],
    rules: {
      'no-restricted-imports': ['error', { patterns: ['node:*'] }],
      'no-restricted-globals': ['error', 'process', 'setInterval', 'fetch'],
    },
  },
  ...arrows,
);
