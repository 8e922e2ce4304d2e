import { sql } from 'kysely';
import { NIGHT_STAGES, type NightStage } from '../../../config/stages.ts';
import type { Settings } from '../../../config/settings.ts';
import type { Db } from '../../../database/connect.ts';
import { imagesOf, voidImages } from '../../../database/snapshots.ts';
import { configurationKey } from '../../../recommender/index.ts';
import { TRACES, UNDO_STAGE, nightStageOf, twinOf, twinRow } from './traces.ts';

/** A run whose stages are undone. */
export interface UndoneRun {
  run: number;
  settings: Settings;
}

/** Takes back the rows that stages have left; those of `pipeline.stages` stay for their tokens. Partitions are for `dropUndone`. */
export async function undoRows(db: Db, undone: UndoneRun, stages: NightStage[]): Promise<void> {
  for (const stage of NIGHT_STAGES) {
    if (!stages.includes(stage)) continue;
    const { gate } = TRACES[stage];
    if (gate !== undefined)
      await db
        .deleteFrom('quality.check_results')
        .where('run', '=', undone.run)
        .where('scope', '=', gate)
        .execute();
    await FORGET[stage]?.(db, undone);
  }
  await forgetTwins(db, undone, stages);
  await reopenStages(db, undone, stages);
}

/** What a stage has left in ordinary tables, and what it has changed in what was there. */
const FORGET: Partial<Record<NightStage, (db: Db, undone: UndoneRun) => Promise<unknown>>> = {
  bronze: (db, { run }) => db.deleteFrom('bronze.batches').where('_batch_id', '=', run).execute(),
  silver: async (db, { run }) => {
    // An image that the run has brought up to date is nobody's snapshot any more: no batch may follow one in it.
    await voidImages(db, await imagesOf(db, [run]));
    await db.deleteFrom('silver.snapshots').where('run', '=', run).execute();
  },
  'silver gate': async (db, { run }) => {
    await db.deleteFrom('quality.source_statistics').where('run', '=', run).execute();
    // It looks again at what is there, and counts.
    await db.updateTable('silver.snapshots').set({ rating_counts: null }).where('run', '=', run).execute();
  },
  split: (db, { run }) => db.deleteFrom('gold.splits').where('run', '=', run).execute(),
  'A/B test': async (db, { run }) => {
    await db.deleteFrom('experiments.ab_test_results').where('test_id', '=', `run-${run}`).execute();
    await db.deleteFrom('experiments.comparisons').where('run', '=', run).execute();
  },
  selection: async (db, { run, settings }) => {
    // The A/B test's own comparison stays, as it was before others were made beside it.
    const [a, b] = settings.challengers.map(configurationKey);
    const ofOthers = sql<boolean>`(configuration_a, configuration_b) <> (${a}, ${b})`;
    await db.deleteFrom('experiments.comparisons').where('run', '=', run).where(ofOthers).execute();
    await db
      .updateTable('experiments.comparisons')
      .set((row) => ({ p_adjusted: row.ref('p_value') }))
      .where('run', '=', run)
      .execute();
    await db.deleteFrom('models.metadata').where('run', '=', run).execute();
  },
  operator: (db, { run }) =>
    db
      .updateTable('models.metadata')
      .set({ status: 'candidate' })
      .where('run', '=', run)
      .where('status', '=', 'rejected')
      .execute(),
  refit: (db, { run }) =>
    db
      .updateTable('models.metadata')
      .set({ trained_at: null, global_mean: null })
      .where('run', '=', run)
      .execute(),
};

/** On a snapshot that is built anew no twin counts, whoever measured it; else those go that the stages have measured. */
async function forgetTwins(db: Db, { run, settings }: UndoneRun, stages: NightStage[]): Promise<void> {
  const challengers = settings.challengers.map(configurationKey);
  const twins = await db
    .selectFrom('experiments.evaluations')
    .select(['configuration', 'test_id'])
    .where('run', '=', run)
    .execute();
  const doomed = twins
    .filter(
      ({ configuration, test_id }) =>
        stages.includes('silver') ||
        (test_id === null && stages.includes(nightStageOf(twinRow(configuration), challengers))),
    )
    .map(({ configuration }) => configuration);
  if (doomed.length === 0) return;
  for (const table of ['experiments.user_metrics', 'experiments.evaluations'] as const)
    await db.deleteFrom(table).where('run', '=', run).where('configuration', 'in', doomed).execute();
}

/** Whoever is still at work on one of them may not write any more: its token is old. */
async function reopenStages(db: Db, { run, settings }: UndoneRun, stages: NightStage[]): Promise<void> {
  const challengers = settings.challengers.map(configurationKey);
  const rows = await db.selectFrom('pipeline.stages').select('stage').where('run', '=', run).execute();
  const doomed = rows
    .map(({ stage }) => stage)
    .filter((row) => row === UNDO_STAGE || stages.includes(nightStageOf(row, challengers)));
  if (doomed.length === 0) return;
  for (const table of ['pipeline.chunks', 'pipeline.checkpoints'] as const)
    await db.deleteFrom(table).where('run', '=', run).where('stage', 'in', doomed).execute();
  const twins = doomed.map(twinOf).filter((twin) => twin !== null);
  if (twins.length > 0)
    await db
      .deleteFrom('experiments.refit_starts')
      .where('run', '=', run)
      .where('configuration', 'in', twins)
      .execute();
  await db
    .updateTable('pipeline.stages')
    .set({ status: 'undone', token: sql`token + 1`, result: null, rows: null, finished_at: null })
    .where('run', '=', run)
    .where('stage', 'in', doomed)
    .execute();
}
