/** The runs that are recorded: one of each way that a workflow can take, over a small source. */

import { Context, getClient } from '@temporalio/activity';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { NativeConnection, type WorkerOptions } from '@temporalio/worker';
import { raiseAlert } from '../../activities/monitoring/alerts.ts';
import { type AlertChannel, DeliveryError } from '../../activities/monitoring/channels/index.ts';
import { readEnvironment } from '../../config/environment.ts';
import { type Connection, connect } from '../../database/connect.ts';
import { migrateToLatest } from '../../database/migrate.ts';
import { createSource } from '../../database/source.ts';
import { outcomeOf, startNight } from '../../scripts/support/start-night.ts';
import { connectTemporal } from '../../temporal/connect.ts';
import { registerSearchAttributes } from '../../temporal/search-attributes.ts';
import { createWorkers } from '../../worker/create-workers.ts';
import {
  APPROVE_UPDATE,
  type NightProgress,
  type NightlyRequest,
  type NightlyResult,
  type OperatorsWord,
  PROGRESS_QUERY,
  type SpeedRequest,
  TASK_QUEUES,
  rerunWorkflowId,
} from '../../workflows/contracts.ts';
import type {
  abTest,
  checkSource,
  gridSearch,
  nightlyPipeline,
  planNight,
  rerunNight,
  rollbackModel,
  speedLayer,
  testAlert,
  watchdog,
} from '../../workflows/index.ts';
import { dependencies } from '../support/runs.ts';
import { fillSource } from '../support/source.ts';
import { SMALL } from '../support/stages.ts';

/**
 * Takes a case that has ended. `workflows` are those of it and its children that went another way than in the cases
 * before; without it all of them.
 */
export type Ended = (name: string, handle: WorkflowHandle, workflows?: string[]) => Promise<void>;

const request = (day: number, overrides: string[] = []): NightlyRequest & { asOf: string } => ({
  asOf: `2026-02-${String(day).padStart(2, '0')}T00:00:00.000Z`,
  profile: 'small',
  overrides: [...SMALL, ...overrides],
});

const OTHER_CHALLENGERS = `challengers=${JSON.stringify(
  [5, 6].map((rank) => ({ family: 'als', rank, iterations: 3, regularization: 0.1, seed: 42 })),
)}`;

const CANCELLED = request(6);

/** Runs every case, in an order in which each finds what it needs, and hands it on. */
async function runCases({ db }: Connection, client: Client, ended: Ended): Promise<void> {
  const night = async (
    name: string,
    expected: NightlyResult['status'],
    wanted: NightlyRequest & { asOf: string },
    workflows?: string[],
    meanwhile?: (handle: WorkflowHandle) => Promise<void>,
  ): Promise<void> => {
    const handle = await startNight(client, wanted);
    await meanwhile?.(handle);
    const outcome = await outcomeOf(handle, handle.result());
    if (outcome.status !== expected)
      throw new Error(`case ${name} was to end as ${expected}, not ${outcome.status}: ${outcome.reason}`);
    const deliveries = await deliveriesOf(client, handle);
    for (const delivery of deliveries) {
      if (outcome.alerts.includes('gate_failed')) await delivery.cancel();
      await delivery.result();
    }
    await ended(name, handle, workflows);
  };

  const pass = async (name: string, wanted: SpeedRequest): Promise<void> => {
    const handle = await client.workflow.start<typeof speedLayer>('speedLayer', {
      workflowId: `speed-${name}`,
      taskQueue: TASK_QUEUES.pipeline,
      args: [wanted],
    });
    await handle.result();
    await ended(name, handle);
  };

  // Nothing is published yet.
  await pass('early', { asOf: request(1).asOf });
  await night('first', 'success', request(1));
  // The champion is none of the challengers: it is evaluated beside them.
  await night('champion', 'success', request(2, [OTHER_CHALLENGERS]), ['nightlyPipeline']);
  await night('blocked', 'blocked', request(3, ['alarm.rmseThreshold=0.1']), [
    'nightlyPipeline',
    'deliverAlerts',
  ]);
  // Its alert does not arrive, and is given up.
  await night('gate', 'failed', request(4, ['quality.minimumRatings=100000000']));
  await night('child-gate', 'failed', request(5, ['recommendations.minimumRatings=1000000']), [
    'nightlyPipeline',
    'publishRecommendations',
  ]);
  await night('cancelled', 'cancelled', CANCELLED, ['nightlyPipeline', 'abTest']);

  const { run } = await db
    .selectFrom('pipeline.runs')
    .select('run')
    .where('status', '=', 'cancelled')
    .executeTakeFirstOrThrow();
  const rerun = (name: string) =>
    client.workflow.start<typeof rerunNight>('rerunNight', {
      workflowId: rerunWorkflowId(run, name),
      taskQueue: TASK_QUEUES.pipeline,
      args: [{ run, from: 'bronze', actor: 'recorder' }],
    });
  const goneOn = await rerun('gone-on');
  const { status } = await goneOn.result();
  if (status !== 'success') throw new Error(`case gone-on was to end as success, not ${status}`);
  await ended('gone-on', goneOn, ['rerunNight']);
  const notAgain = await rerun('not-again');
  await notAgain.result().catch(() => undefined);
  await ended('not-again', notAgain);

  // An operator is asked: one says yes, nobody says anything to the other.
  const ASKS = ['alarm.rmseThreshold=0.1', 'alarm.policy=ask'];
  await night('approved', 'success', request(8, ASKS), ['nightlyPipeline'], approve);
  await night('unanswered', 'blocked', request(9, [...ASKS, 'alarm.askHours=0.0003']), ['nightlyPipeline']);

  const again = await client.workflow.start<typeof nightlyPipeline>('nightlyPipeline', {
    workflowId: 'the-same-night',
    taskQueue: TASK_QUEUES.pipeline,
    args: [request(1)],
  });
  await again.result();
  await ended('known', again);

  const refused = await client.workflow.start<typeof nightlyPipeline>('nightlyPipeline', {
    workflowId: 'refused',
    taskQueue: TASK_QUEUES.pipeline,
    args: [request(7, ['quality.minimumRatings=-1'])],
  });
  await refused.result().catch(() => undefined);
  await ended('refused', refused);

  const alert = await client.workflow.start<typeof testAlert>('testAlert', {
    workflowId: 'alert-test',
    taskQueue: TASK_QUEUES.pipeline,
    args: [{}],
  });
  await alert.result();
  await ended('tested', alert);

  await raiseAlert(db, { kind: 'run_failed', about: 'an alert that waits', message: 'nobody has taken it' });
  const look = await client.workflow.start<typeof watchdog>('watchdog', {
    workflowId: 'watchdog',
    taskQueue: TASK_QUEUES.pipeline,
    args: [{ schedules: ['nightjar-nightly'], graceMinutes: 60, days: 7 }],
  });
  await look.result();
  for (const delivery of await deliveriesOf(client, look)) await delivery.result();
  await ended('looked', look, ['watchdog']);

  const check = await client.workflow.start<typeof checkSource>('checkSource', {
    workflowId: 'check',
    taskQueue: TASK_QUEUES.pipeline,
    args: [request(7)],
  });
  await check.result();
  await ended('checked', check);

  const point = (rank: number, regularization: number) => ({
    family: 'als' as const,
    rank,
    iterations: 3,
    regularization,
    seed: 42,
  });
  const search = await client.workflow.start<typeof gridSearch>('gridSearch', {
    workflowId: 'grid-search',
    taskQueue: TASK_QUEUES.pipeline,
    // As good as no penalty at a rank far above the ratings: no usable model.
    args: [{ points: [point(3, 0.1), point(3, 0.3), point(60, 1e-300)], metric: 'rmse' }],
  });
  await search.result();
  await ended('searched', search);

  const comparison = await client.workflow.start<typeof abTest>('abTest', {
    workflowId: 'ab-test',
    taskQueue: TASK_QUEUES.pipeline,
    args: [{ adHoc: true, arms: [point(3, 0.1), { family: 'popular' }], metric: 'ndcg@10', seeds: [1, 2] }],
  });
  await comparison.result();
  await ended('ad-hoc', comparison);

  const plan = await client.workflow.start<typeof planNight>('planNight', {
    workflowId: 'plan',
    taskQueue: TASK_QUEUES.pipeline,
    args: [request(7)],
  });
  await plan.result();
  await ended('planned', plan);

  const rollback = await client.workflow.start<typeof rollbackModel>('rollbackModel', {
    workflowId: 'rollback',
    taskQueue: TASK_QUEUES.pipeline,
    args: [{ reason: 'recorded', actor: 'recorder' }],
  });
  const { changed } = await rollback.result();
  if (!changed) throw new Error('case rolled-back was to move to the version before');
  await ended('rolled-back', rollback);

  await pass('passed', { asOf: request(3).asOf });
}

/** Says yes as soon as a night asks. */
async function approve(handle: WorkflowHandle): Promise<void> {
  const word: OperatorsWord = { actor: 'recorder', reason: 'recorded' };
  for (;;) {
    const { stages } = await handle.query<NightProgress>(PROGRESS_QUERY);
    if (stages.some(({ stage, state }) => stage === 'operator' && state === 'running')) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await handle.executeUpdate<string, [OperatorsWord]>(APPROVE_UPDATE, { args: [word] });
}

/** The deliveries that a workflow has started and not waited for. */
async function deliveriesOf(client: Client, handle: WorkflowHandle): Promise<WorkflowHandle[]> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).flatMap(({ childWorkflowExecutionStartedEventAttributes: child }) =>
    child?.workflowType?.name === 'deliverAlerts'
      ? [client.workflow.getHandle(child.workflowExecution?.workflowId ?? '')]
      : [],
  );
}

/** Takes every alert but that of a failed gate. */
const channel: AlertChannel = {
  name: 'webhook',
  send: ({ kind }) =>
    kind === 'gate_failed' ? Promise.reject(new DeliveryError('nobody is there')) : Promise.resolve(),
};

/** Cancels one night in its A/B test, and has the twin that is being trained wait for it. */
const cancelling: NonNullable<WorkerOptions['interceptors']> = {
  activity: [
    (context) => ({
      inbound: {
        execute: async (input, next) => {
          const { activityType, workflowExecution } = context.info;
          const night = `nightly-${CANCELLED.asOf}`;
          const { workflowId = '' } = workflowExecution ?? {};
          if (
            activityType === 'evaluateTwin' &&
            workflowId.startsWith(night) &&
            workflowId.endsWith('/ab-test')
          ) {
            await getClient().workflow.getHandle(night).cancel();
            // The answer to a heartbeat is what says so.
            const beating = setInterval(() => Context.current().heartbeat(), 100);
            await Context.current().cancelled.finally(() => clearInterval(beating));
          }
          return next(input);
        },
      },
    }),
  ],
};

/** Runs every case on servers that are empty. */
export async function recordNights(
  servers: { databaseUrl: string; temporalAddress: string },
  ended: Ended,
): Promise<void> {
  const database = connect({
    url: servers.databaseUrl,
    applicationName: 'nightjar-recorder',
    max: 16,
  });
  await migrateToLatest(database.db);
  await createSource(database.db);
  await fillSource(database, 30, 20);
  const temporal = await connectTemporal({
    connectionOptions: { address: servers.temporalAddress },
    namespace: 'default',
  });
  await registerSearchAttributes(temporal.connection, 'default');
  const native = await NativeConnection.connect({ address: servers.temporalAddress });
  const workers = await createWorkers({
    connection: native,
    namespace: 'default',
    environment: readEnvironment({ DATABASE_URL: servers.databaseUrl, NIGHTJAR_SHUTDOWN_GRACE: '100ms' }),
    dependencies: { ...dependencies(database), channels: [channel] },
    interceptors: cancelling,
  });
  const running = workers.run();
  try {
    await Promise.race([runCases(database, temporal.client, ended), running]);
  } finally {
    workers.shutdown();
    await running;
    await native.close();
    await temporal.close();
    await database.close();
  }
}
