/** The stage table of a run: for the UI's details, the terminal's query and the list filter. */

import {
  setCurrentDetails,
  setHandler,
  defineQuery,
  isCancellation,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import { type NightProgress, PROGRESS_QUERY, type StageLine } from '../contracts.ts';
import { searchAttributes } from '../search-attributes.ts';

export interface StageBoard {
  /** Names the run once it has its row in the ledger. */
  identify(run: number, asOf: string): void;
  /**
   * Runs one stage under its domain name and keeps its line current. What the stage returns is passed on; its
   * `rows` and `note` are shown, and its `state` where it has one.
   * @param waiting what is to be known while it runs, where somebody is waited for: on the terminal in its line, in the UI
   *   above the table
   */
  stage<Result>(
    name: string,
    work: () => Promise<Result>,
    waiting?: { note: string; details: string },
  ): Promise<Result>;
  /** The stage that failed first, if one did: those beside it are cancelled for its sake. */
  failedStage(): string | null;
  /** Sets the sentence under the table: the outcome in words. */
  conclude(outcome: string): void;
}

export function createStageBoard(): StageBoard {
  const progress: NightProgress = { run: null, asOf: null, stages: [] };
  let conclusion = '';
  let failed: string | null = null;
  setHandler(defineQuery<NightProgress>(PROGRESS_QUERY), () => progress);
  const show = (): void => setCurrentDetails(render(progress, conclusion));

  return {
    identify(run, asOf) {
      Object.assign(progress, { run, asOf });
      show();
    },
    async stage(name, work, waiting) {
      const note = waiting?.note ?? null;
      const line: StageLine = { stage: name, state: 'running', seconds: null, rows: null, note };
      progress.stages.push(line);
      conclusion = waiting?.details ?? conclusion;
      upsertSearchAttributes([{ key: searchAttributes.stage, value: name }]);
      show();
      const started = Date.now();
      try {
        const result = await work();
        Object.assign(line, shown(result));
        return result;
      } catch (error) {
        Object.assign(line, { state: 'failed', note: isCancellation(error) ? 'cancelled' : null });
        failed ??= name;
        throw error;
      } finally {
        line.seconds = (Date.now() - started) / 1000;
        if (waiting !== undefined) conclusion = '';
        show();
      }
    },
    failedStage: () => failed,
    conclude(outcome) {
      conclusion = outcome;
      show();
    },
  };
}

function shown(result: unknown): Pick<StageLine, 'state' | 'rows' | 'note'> {
  const given = (typeof result === 'object' && result !== null ? result : {}) as Partial<StageLine>;
  return { state: given.state ?? 'done', rows: given.rows ?? null, note: given.note ?? null };
}

const MARKS = { running: '…', done: '✓', failed: '✗' } as const;

function render({ run, asOf, stages }: NightProgress, conclusion: string): string {
  const head = run === null ? 'Waiting for a place in the ledger' : `**Run ${run}**, as-of ${asOf}`;
  const table = [
    '| | stage | rows | s | |',
    '|---|---|---:|---:|---|',
    // The newest on top: the pane shows about six rows.
    ...stages
      .toReversed()
      .map(
        ({ stage, state, rows, seconds, note }) =>
          `| ${MARKS[state]} | ${stage} | ${rows?.toLocaleString('en') ?? ''} | ${seconds?.toFixed(1) ?? ''} | ${state === 'running' ? '' : (note ?? '')} |`,
      ),
  ];
  return [head, conclusion, table.join('\n')].filter((part) => part !== '').join('\n\n');
}
