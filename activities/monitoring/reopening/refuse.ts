/** Whether a run can be taken up again from a stage as the ledger is; else in one line why not and what to do. */

import type { ApplicationFailure } from '@temporalio/common';
import { type NightStage, stagesAround } from '../../../config/stages.ts';
import type { Db } from '../../../database/connect.ts';
import type { RunStatus } from '../../../database/types/index.ts';
import { servingChampion } from '../../selection/champion.ts';
import { type SelectionResult, findSelection } from '../../selection/result.ts';
import { terminalFailure } from '../../support/failures.ts';
import { missingData } from './data.ts';
import { TRACES, twinRow } from './traces.ts';

/** A run as the ledger has it. */
export interface EndedRun {
  run: number;
  as_of: Date;
  status: RunStatus;
  workflow_id: string;
}

export function refusal(run: number, why: string): ApplicationFailure {
  return terminalFailure('RerunRefused', `rerun of run ${run}: ${why}`);
}

export function isLive({ run, workflow_id }: Pick<EndedRun, 'run' | 'workflow_id'>): ApplicationFailure {
  return refusal(
    run,
    `it is live as workflow ${workflow_id}; wait for its end, or cancel it: npm run pipeline -- cancel`,
  );
}

/** Stages that only a night goes through that has decided to serve. */
const SERVING: readonly NightStage[] = ['refit', 'model gate', 'publish', 'publish gate'];

/** @throws RerunRefused */
export async function assertReopenable(db: Db, ended: EndedRun, from: NightStage): Promise<void> {
  const { run, status } = ended;
  const published = await isPublished(db, run);
  if (status === 'running') throw isLive(ended);
  if (status === 'success')
    throw refusal(run, `it ended with success${published ? ' and is published' : ''}; nothing to rerun`);
  await assertNewest(db, ended);
  if (published && from !== 'clean up')
    throw refusal(
      run,
      `its version is published, and only what comes after that can be done again; --from "clean up", or take it back: npm run pipeline -- rollback`,
    );
  const { before } = stagesAround(from);
  const decision = before.includes('selection') ? ((await findSelection(db, run))?.result ?? null) : null;
  if (decision !== null && !published) await assertStands(db, run, from, decision);
  const path = before.filter((stage) => decision?.serve !== false || !SERVING.includes(stage));
  for (const stage of path) await assertThere(db, run, { stage, from, decision });
}

/** The next night drops what failed ones have left, and may have changed what is served. */
async function assertNewest(db: Db, { run, as_of }: EndedRun): Promise<void> {
  const newer = await db
    .selectFrom('pipeline.runs')
    .select('run')
    .where('run', '>', run)
    .orderBy('run', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (newer === undefined) return;
  throw refusal(
    run,
    `run ${newer.run} has begun since, and with it what run ${run} had made was given up; start a new night: npm run pipeline -- nightly --as-of ${as_of.toISOString()}`,
  );
}

async function isPublished(db: Db, run: number): Promise<boolean> {
  const row = await db.selectFrom('serving.versions').select('run').where('run', '=', run).executeTakeFirst();
  return row !== undefined;
}

/** A decision that is not made again must still be one about what is served, and lead to the stage. */
async function assertStands(db: Db, run: number, from: NightStage, decision: SelectionResult): Promise<void> {
  const champion = (await servingChampion(db))?.configuration ?? null;
  if (champion !== decision.from)
    throw refusal(
      run,
      `the champion is ${champion ?? 'none'} by now, and its decision was made against ${decision.from ?? 'none'}; --from champion`,
    );
  const asked = decision.ask !== undefined;
  if (!decision.serve && from !== 'clean up' && !(from === 'operator' && asked))
    throw refusal(
      run,
      `it decided not to publish, so ${from} is not reached; --from ${asked ? 'operator asks again' : 'selection or an earlier stage'}`,
    );
}

/** Where one of these fails, the features beside them are cancelled, and gone on with when it is done again. */
const BESIDE_FEATURES: readonly NightStage[] = ['split', 'baseline', 'A/B test', 'champion'];

function isBeside(stage: NightStage, from: NightStage): boolean {
  return BESIDE_FEATURES.includes(from) && (stage === 'features' || stage === 'features gate');
}

/** That a stage before is done, and what it made is there. */
async function assertThere(
  db: Db,
  run: number,
  { stage, from, decision }: { stage: NightStage; from: NightStage; decision: SelectionResult | null },
): Promise<void> {
  const rows = await rowsOf(db, stage, decision);
  const done = await db
    .selectFrom('pipeline.stages')
    .select('stage')
    .where('run', '=', run)
    .where('status', '=', 'done')
    .execute();
  const undone = rows.filter((row) => !done.some((one) => one.stage === row));
  const instead = `--from "${stage}", or start a new night`;
  if (undone.length > 0 && isBeside(stage, from)) return;
  if (undone.length > 0)
    throw refusal(run, `stage ${stage} is not done, and ${from} comes after it; ${instead}`);
  const missing = await missingData(db, run, stage, from);
  if (missing.length > 0)
    throw refusal(
      run,
      `what stage ${stage} left is gone (${missing.join(', ')}), and ${from} needs it; ${instead}`,
    );
}

/** The rows of `pipeline.stages` that have to be done for a stage to be so. */
async function rowsOf(
  db: Db,
  stage: NightStage,
  decision: SelectionResult | null,
): Promise<readonly string[]> {
  if (stage === 'operator' && decision?.ask === undefined) return [];
  if (stage !== 'champion') return TRACES[stage].rows;
  // Once it has decided, no twin is needed any more.
  const champion = decision === null ? await servingChampion(db) : null;
  return champion === null ? [] : [twinRow(champion.configuration)];
}
