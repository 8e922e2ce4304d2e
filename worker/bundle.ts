/** Bundles the workflows ahead of time, for workers in production: same code in every one, and a start in a second. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';

const WORKFLOWS = fileURLToPath(new URL('../workflows/index.ts', import.meta.url));
const target = process.argv[2] ?? fileURLToPath(new URL('../build/workflow-bundle.js', import.meta.url));

const { code } = await bundleWorkflowCode({ workflowsPath: WORKFLOWS });
mkdirSync(dirname(target), { recursive: true });
writeFileSync(target, code);
console.log(target);
