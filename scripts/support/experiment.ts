/** What the commands of experiments share: on the snapshot of a run, found again by what was asked for. */

import { createHash } from 'node:crypto';
import type { WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { codeVersion } from '../../config/code-version.ts';
import { UsageError } from '../../config/settings.ts';
import type { Db } from '../../database/connect.ts';
import { type KeptSnapshot, chooseSnapshot, keptSnapshots } from '../../database/experiments.ts';
import type { Servers } from '../../stack/index.ts';
import { withConnection } from './database.ts';
import { followNight } from './follow.ts';
import { print } from './night.ts';
import { runUrl } from './show-night.ts';
import { untilStopped } from './until-stopped.ts';

/** The same for what is asked for again of the same code: it names one experiment. */
export function askedFor(asked: unknown[]): string {
  const version = codeVersion(process.env.NIGHTJAR_CODE_VERSION);
  return createHash('sha256')
    .update(JSON.stringify([...asked, version]))
    .digest('hex')
    .slice(0, 12);
}

/**
 * The run whose snapshot is meant.
 * @param made finds the experiment that was made on a run: one whose snapshot is not kept serves to show that again
 * @throws UsageError where there is none
 */
export function findSnapshotRun<Made>(
  url: string,
  wanted: number | undefined,
  made: (db: Db, run: number) => Promise<Made | undefined>,
): Promise<KeptSnapshot | Made> {
  return withConnection(url, async ({ db }) => {
    const kept = await keptSnapshots(db);
    const chosen = chooseSnapshot(kept, wanted);
    if (chosen !== undefined) return chosen;
    const there = kept.length === 0 ? 'none is' : `kept are ${kept.map(({ run }) => run).join(', ')}`;
    if (wanted === undefined) {
      throw new UsageError(
        `--run: no run that came to its end has a snapshot that is kept (${there}); start a night first, or name a run`,
      );
    }
    const found = await made(db, wanted);
    if (found === undefined)
      throw new UsageError(`--run ${wanted}: the snapshot of that run is not kept; ${there}`);
    return found;
  });
}

/** An experiment under way, and what it comes to. */
export type Experiment<Result> = WorkflowHandleWithFirstExecutionRunId & { result(): Promise<Result> };

/** Follows an experiment to its end and shows it, or says how it is found again. */
export async function followExperiment<Result>(
  handle: Experiment<Result>,
  given: { noun: 'search' | 'test'; run: number; servers: Servers; wait: boolean; json: boolean },
  show: (found: Result, uiUrl: string | null) => Promise<void>,
): Promise<void> {
  const { noun, run, servers, wait, json } = given;
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const uiUrl = runUrl(servers, handle.workflowId, handle.firstExecutionRunId);
  if (!wait) {
    if (json) print({ workflow_id: handle.workflowId, run, status: 'running', ui_url: uiUrl });
    else say(`started ${handle.workflowId}; the same command with --run ${run}, waiting, shows it`);
    return;
  }
  if (uiUrl !== null) say(`in the Temporal UI: ${uiUrl}`);
  const found = await untilStopped().or(
    followNight<Result>(handle, { stream: process.stderr }),
    `detached; the ${noun} goes on, and the same command with --run ${run} follows it again`,
  );
  await show(found, uiUrl);
}
