import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createActivities } from '../../activities/index.ts';
import type { Connection } from '../../database/connect.ts';
import * as contracts from '../../workflows/contracts.ts';
import * as workflows from '../../workflows/index.ts';
import { searchAttributes } from '../../workflows/search-attributes.ts';
import { dependencies } from '../support/runs.ts';
import { WORKFLOWS } from './replay.ts';

/** Every name that histories, callers, schedules and lists know something by. */
const PINNED = {
  workflows: [
    'abTest',
    'checkSource',
    'deliverAlerts',
    'gridSearch',
    'nightlyPipeline',
    'planNight',
    'publishRecommendations',
    'refreshFeatures',
    'rerunNight',
    'testAlert',
    'watchdog',
    'rollbackModel',
    'speedLayer',
  ],
  activities: [
    'beginAbTest',
    'beginGridSearch',
    'beginRun',
    'buildMovieFeatures',
    'buildSilver',
    'buildUserFeatures',
    'buildUserGenrePreferences',
    'checkSource',
    'closeLostRuns',
    'compareArms',
    'computeMovieStats',
    'computeSimilarMovies',
    'computeTrending',
    'deliverAlert',
    'dropUndone',
    'decideByOperator',
    'evaluateGridPoint',
    'evaluateTwin',
    'failRun',
    'findMissedNights',
    'evaluateArmTwin',
    'finishAbTest',
    'finishGridSearch',
    'finishRun',
    'foldInPass',
    'giveUpDelivery',
    'ingestBronze',
    'planNight',
    'publishVersion',
    'raiseTestAlert',
    'refitModel',
    'reopenRun',
    'reportRefusal',
    'restoreVersion',
    'retireVersions',
    'reviveDeliveries',
    'runGate',
    'scoreRecommendations',
    'selectModel',
    'splitHoldout',
    'takeAlerts',
    'updateStatistics',
    'verifyVersion',
  ],
  handlers: ['progress', 'approve', 'reject'],
  queues: ['nightjar', 'nightjar-training'],
  searchAttributes: [
    'NightjarAlert KEYWORD',
    'NightjarAsOf DATETIME',
    'NightjarChampion KEYWORD',
    'NightjarModelVersion KEYWORD',
    'NightjarOutcome KEYWORD',
    'NightjarRmse DOUBLE',
    'NightjarRun INT',
    'NightjarStage KEYWORD',
  ],
  ids: [
    'nightly-2026-11-24T02:00:00.000Z',
    'rerun-run-7-2026-11-24T08:00:00.000Z',
    'grid-search-run-7-3f2a',
    'ab-test-run-7-3f2a',
  ],
};

/** Names of the queries, signals and updates that the workflows define. */
function handlers(): string[] {
  const constants = contracts as Record<string, unknown>;
  const files = readdirSync(WORKFLOWS, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /(?<!\.test)\.ts$/.test(file),
  );
  return files.flatMap((file) => {
    const text = readFileSync(join(WORKFLOWS, file), 'utf8');
    return Array.from(
      text.matchAll(/define(?:Query|Signal|Update)(?:<[^(]*>)?\(\s*([^),]+)/g),
      ([, given]) => {
        const name = /^['"`](.*)['"`]$/.exec(given)?.[1] ?? constants[given];
        if (typeof name !== 'string')
          throw new Error(`${file}: ${given} is neither a text nor a constant of workflows/contracts.ts`);
        return name;
      },
    );
  });
}

const found: typeof PINNED = {
  workflows: Object.keys(workflows),
  activities: Object.keys(createActivities(dependencies({} as Connection))),
  handlers: [...new Set(handlers())],
  queues: Object.values(contracts.TASK_QUEUES),
  searchAttributes: Object.values(searchAttributes).map(({ name, type }) => `${name} ${type}`),
  ids: [
    contracts.nightlyWorkflowId('2026-11-24T02:00:00.000Z'),
    contracts.rerunWorkflowId(7, '2026-11-24T08:00:00.000Z'),
    contracts.gridSearchWorkflowId(7, '3f2a'),
    contracts.abTestWorkflowId(7, '3f2a'),
  ],
};

const kinds = Object.keys(PINNED) as (keyof typeof PINNED)[];

test.each(kinds)('%s: no name is gone', (kind) => {
  const gone = PINNED[kind].filter((name) => !found[kind].includes(name));
  expect(
    gone,
    `names are part of histories, schedules and callers; keep the old one beside the new one until nothing knows it any more: docs/changing-workflows.md, "Names"`,
  ).toEqual([]);
});

test.each(kinds)('%s: every name is pinned', (kind) => {
  const added = found[kind].filter((name) => !PINNED[kind].includes(name));
  expect(added, 'a new name is here to stay: say so by adding it to test/replay/names.test.ts').toEqual([]);
});
