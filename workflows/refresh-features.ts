import { patched, setWorkflowOptions } from '@temporalio/workflow';
import type { RunRequest } from './contracts.ts';
import * as activities from './proxies.ts';
import { createStageBoard } from './support/stage-board.ts';

/** Builds the feature store of a run's snapshot and passes it through its gate. Not visible until published. */
export async function refreshFeatures({ run }: RunRequest): Promise<{ rows: number }> {
  const board = createStageBoard();
  const users = () => board.stage('user features', () => activities.buildUserFeatures({ run }));
  const movies = () => board.stage('movie features', () => activities.buildMovieFeatures({ run }));
  const genres = () => board.stage('genre preferences', () => activities.buildUserGenrePreferences({ run }));
  // In turn: the night's experiments, beside them, take longer, and readers wait behind each process that runs.
  const tables = patched('features-in-turn')
    ? [await users(), await movies(), await genres()]
    : await Promise.all([users(), movies(), genres()]);
  await board.stage('features gate', () => activities.runGate({ run, scope: 'features' }));
  return { rows: tables.reduce((sum, { rows }) => sum + rows, 0) };
}

setWorkflowOptions({ failureExceptionTypes: [Error] }, refreshFeatures);
