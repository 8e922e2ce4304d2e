import { WorkflowIdConflictPolicy } from '@temporalio/client';
import { Option } from 'commander';
import {
  GRID_FAMILIES,
  type GridAxes,
  type GridSearchInput,
  byMetric,
  checkGridSearch,
  gridPoints,
} from '../../config/grid-search.ts';
import { METRIC_NAMES, type Metric } from '../../config/metrics.ts';
import { UsageError } from '../../config/settings.ts';
import { gridSearchResults, runOfGridSearch } from '../../database/experiments.ts';
import {
  type GridSearchRequest,
  type GridSearchResult,
  TASK_QUEUES,
  gridSearchWorkflowId,
} from '../../workflows/contracts.ts';
import type { gridSearch } from '../../workflows/index.ts';
import { GRID_SEARCH_EXECUTION_TIMEOUT } from '../../workflows/timeouts.ts';
import { addChallenger } from '../support/candidate.ts';
import { createCommand, integer, list, oneOf, options, positive } from '../support/cli.ts';
import { type ConnectedServers, connectServers } from '../support/connect-servers.ts';
import { readDatabaseId, withConnection } from '../support/database.ts';
import { askedFor, findSnapshotRun, followExperiment } from '../support/experiment.ts';
import { print } from '../support/night.ts';
import { metric, table } from '../support/table.ts';

interface GridSearchOptions {
  run?: number;
  family: GridAxes['family'];
  rank: number[];
  reg: number[];
  iterations: number[];
  alpha?: number[];
  seed: number;
  metric: Metric;
  wait: boolean;
  json?: boolean;
}

/** What a person typed, as a search. */
function asked(given: GridSearchOptions): GridSearchInput {
  const { family, rank, iterations, reg: regularization, alpha = [1], seed } = given;
  if (given.alpha !== undefined && !family.includes('als-implicit'))
    throw new UsageError(`--alpha ${alpha.join(',')}: only als-implicit has one; name it in --family`);
  const points = gridPoints({ family, rank, iterations, regularization, alpha, seed });
  return checkGridSearch({ points, metric: given.metric });
}

function workflowIdOf({ points, metric }: GridSearchInput, run: number): string {
  return gridSearchWorkflowId(run, askedFor([points, metric]));
}

interface SearchedRun {
  run: number;
  profile: string;
}

/** Starts the search, or takes hold of the one that runs; one that was made gives its stored points. */
function startSearch({ temporal }: ConnectedServers, request: GridSearchRequest & { run: number }) {
  const { run, points, metric } = request;
  return temporal.client.workflow.start<typeof gridSearch>('gridSearch', {
    workflowId: workflowIdOf(request, run),
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    taskQueue: TASK_QUEUES.pipeline,
    args: [request],
    workflowExecutionTimeout: GRID_SEARCH_EXECUTION_TIMEOUT,
    staticSummary: `grid search of ${points.length} points on run ${run}, by ${metric}`,
  });
}

async function readPoints(url: string, found: GridSearchResult) {
  const points = await withConnection(url, ({ db }) => gridSearchResults(db, found.search));
  return points.toSorted((a, b) => Number(b.is_best) - Number(a.is_best) || byMetric(found.metric)(a, b));
}

/** The command by which the best point challenges the champion tonight, or why it cannot. */
function candidateCommand({ search, best }: GridSearchResult, { profile }: SearchedRun) {
  try {
    addChallenger({ profile, overrides: [] }, best.parameters);
  } catch (error) {
    if (error instanceof UsageError) return { command: null, refusal: error.message };
    throw error;
  }
  const as = profile === 'production' ? '' : ` --profile ${profile}`;
  return { command: `npm run pipeline -- nightly --candidate ${search}${as}`, refusal: null };
}

async function showSearch(
  found: GridSearchResult,
  searched: SearchedRun,
  { url, uiUrl, json }: { url: string; uiUrl: string | null; json: boolean },
): Promise<void> {
  const points = await readPoints(url, found);
  const { command, refusal } = candidateCommand(found, searched);
  const { search, run, best, failed } = found;
  if (json)
    return print({
      search,
      run,
      metric: found.metric,
      best,
      failed,
      points,
      candidate: command,
      ui_url: uiUrl,
    });
  const reasons = failed > 0 ? ['reason'] : [];
  console.log(
    table(
      ['', 'configuration', 'RMSE', 'MAE', 'P@10', 'R@10', 'NDCG@10', 'MAP@10', 's', ...reasons],
      points.map((point) => [
        point.is_best ? '→' : '',
        point.configuration,
        ...[point.rmse, point.mae, point.precision_at_10, point.recall_at_10].map(metric),
        ...[point.ndcg_at_10, point.map_at_10].map(metric),
        point.training_seconds?.toFixed(1),
        ...reasons.map(() => point.reason),
      ]),
    ),
  );
  console.log(`grid search ${search} on run ${run}, best by ${found.metric}: ${best.configuration}`);
  console.log(command === null ? `it cannot be tonight's candidate: ${refusal}` : command);
}

export const gridSearchCommand = createCommand(
  'grid-search',
  'Try a grid of configurations on the snapshot of a run and show which is best.',
  [
    'npm run pipeline -- grid-search',
    'npm run pipeline -- grid-search --rank 10,20,30 --reg 0.05,0.1,0.15 --metric rmse',
    'npm run pipeline -- grid-search --family als,als-biased --run 7 --no-wait',
    'npm run pipeline -- grid-search --family als-implicit --alpha 1,10,40 --metric ndcg@10',
  ],
)
  .option('--run <number>', 'whose snapshot; by default the newest run that came to its end', integer(1))
  .addOption(
    new Option('--family <list>', `of ${GRID_FAMILIES.join(', ')}`)
      .argParser(list(oneOf(GRID_FAMILIES)))
      .default(['als'], 'als'),
  )
  .addOption(
    new Option('--rank <list>', 'latent dimensions')
      .argParser(list(integer(1, 256)))
      .default([10, 20, 30], '10,20,30'),
  )
  .addOption(
    new Option('--reg <list>', 'regularisation')
      .argParser(list(positive))
      .default([0.05, 0.1, 0.15], '0.05,0.1,0.15'),
  )
  .addOption(
    new Option('--iterations <list>', 'full iterations').argParser(list(integer(1, 100))).default([10], '10'),
  )
  .option('--alpha <list>', 'confidence of als-implicit (default: 1)', list(positive))
  .option('--seed <number>', 'of every point', integer(0, 2_147_483_647), 42)
  .addOption(new Option('--metric <name>', 'what chooses the best').choices(METRIC_NAMES).default('rmse'))
  .addOption(options.wait())
  .addOption(options.noWait())
  .addOption(options.json())
  .action(async (given: GridSearchOptions) => {
    const search = asked(given);
    const json = given.json ?? false;
    const connected = await connectServers();
    const { servers, temporal } = connected;
    try {
      const database = await readDatabaseId(servers.databaseUrl);
      const searched: SearchedRun = await findSnapshotRun(servers.databaseUrl, given.run, (db, run) =>
        runOfGridSearch(db, workflowIdOf(search, run)),
      );
      const { run } = searched;
      const handle = await startSearch(connected, { ...search, run, database });
      await followExperiment(
        handle,
        { noun: 'search', run, servers, wait: given.wait, json },
        (found, uiUrl) => showSearch(found, searched, { url: servers.databaseUrl, uiUrl, json }),
      );
    } finally {
      await temporal.close();
    }
  });
