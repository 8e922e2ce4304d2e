/**
 * An ad-hoc A/B test before its comparison. Its rows are only ever added, each under a key of its own: equal
 * configurations on one snapshot give equal results, so whichever attempt writes a row writes the right one, and no
 * fencing token is needed.
 */

import { isDeepStrictEqual } from 'node:util';
import { type AbTestInput, type Arm, checkAbTest, trainings } from '../../config/ab-test.ts';
import { METRICS, type Metric } from '../../config/metrics.ts';
import type { Db } from '../../database/connect.ts';
import { abTest } from '../../database/experiments.ts';
import { transaction } from '../../database/session.ts';
import { UnusableModelError, configurationKey } from '../../recommender/index.ts';
import { assertMeant } from '../support/database.ts';
import { terminalFailure } from '../support/failures.ts';
import { type ActivityDependencies, loadRun } from '../support/run.ts';
import { asRequested } from '../support/settings.ts';
import type { Heartbeat } from '../support/with-heartbeat.ts';
import { assertKept, snapshotFor } from './kept-snapshot.ts';
import { storeTwin } from './store-twin.ts';
import { measureTwinAtOnce } from './twin.ts';

export interface BeginAbTestInput extends AbTestInput {
  /** The run whose snapshot it is on; the newest that came to its end where it is left out. */
  run?: number;
  database?: string;
  workflowId: string;
  executionId: string;
}

export interface BegunAbTest {
  test: string;
  run: number;
  asOf: string;
  /** What is to be trained: each arm with each seed. */
  twins: Arm[];
  note: string;
}

/** Enters an A/B test under its workflow's id, or finds the one that there is and goes on with it. */
export async function beginAbTest(
  { connection, codeVersion }: ActivityDependencies,
  input: BeginAbTestInput,
): Promise<BegunAbTest> {
  const { db } = connection;
  const {
    arms,
    metric,
    salt = null,
    seeds = [],
  } = asRequested(() =>
    checkAbTest({ arms: input.arms, metric: input.metric, salt: input.salt, seeds: input.seeds }),
  );
  await assertMeant(connection, input.database);
  const test = input.workflowId;
  if ((await abTest(db, test)) === undefined) {
    const run = await endedSnapshot(db, input.run);
    const { selection } = (await loadRun(db, run)).settings;
    await db
      .insertInto('experiments.ab_tests')
      .values({
        test_id: test,
        execution_id: input.executionId,
        run,
        metric,
        arms: JSON.stringify(arms),
        seeds: JSON.stringify(seeds),
        salt,
        resamples: selection.resamples,
        bootstrap_seed: selection.seed,
        code_version: codeVersion,
      })
      .onConflict((conflict) => conflict.column('test_id').doNothing())
      .execute();
  }
  const found = await abTest(db, test);
  if (found === undefined) throw new Error(`the A/B test of workflow ${test} was not entered`);
  const { run } = found;
  const asked = [arms, metric, salt, seeds, input.run ?? run];
  if (!isDeepStrictEqual([found.arms, found.metric, found.salt, found.seeds, run], asked)) {
    throw terminalFailure(
      'InvalidRequest',
      `workflow ${test} is an A/B test of run ${run} with other arms, metric, salt or seeds; expected the same ones, or another workflow id`,
    );
  }
  return {
    test,
    run,
    asOf: found.as_of.toISOString(),
    twins: arms.flatMap((arm) => trainings(arm, input.seeds)),
    note: `on run ${run}${found.execution_id === input.executionId ? '' : ', asked for before'}`,
  };
}

async function endedSnapshot(db: Db, wanted: number | undefined): Promise<number> {
  const { run, status } = await snapshotFor(db, wanted, 'test');
  if (status !== 'running') return run;
  throw terminalFailure(
    'InvalidRequest',
    `run ${run} is live and measures twins of its own, expected a run that has ended; wait for its end`,
  );
}

export interface ArmTwinInput {
  test: string;
  configuration: Arm;
}

export interface ArmTwinResult {
  configuration: string;
  note: string;
}

/**
 * Trains and measures one twin of an A/B test and keeps its metrics, also by user, under the snapshot's run; one that
 * the run or another test has measured is used as it is.
 * @throws SnapshotGone where the snapshot was dropped meanwhile; ModelUnusable
 */
export async function evaluateArmTwin(
  dependencies: ActivityDependencies,
  { test, configuration }: ArmTwinInput,
  heartbeat: Heartbeat,
): Promise<ArmTwinResult> {
  const { connection } = dependencies;
  const key = configurationKey(configuration);
  const { run, metric } = await enteredTest(connection.db, test);
  const measured = () =>
    connection.db
      .selectFrom('experiments.evaluations')
      .selectAll()
      .where('run', '=', run)
      .where('configuration', '=', key)
      .executeTakeFirst();
  const before = await measured();
  if (before === undefined) {
    await assertKept(connection.db, run, { by: `A/B test ${test}`, until: 'last arm', verb: 'test' });
    const twin = await measureTwinAtOnce(dependencies, run, configuration, heartbeat).catch(
      (error: unknown) => {
        if (!(error instanceof UnusableModelError)) throw error;
        throw terminalFailure(
          'ModelUnusable',
          `A/B test ${test}, ${key}: ${error.message}, expected finite ones; look at the arm's regularisation and rank`,
        );
      },
    );
    await transaction(connection, (session) => storeTwin(session, run, configuration, twin, test), {
      signal: heartbeat.signal,
    });
  }
  const row = before ?? (await measured());
  if (row === undefined) throw new Error(`A/B test ${test}: the twin ${key} was not kept`);
  const value = row[METRICS[metric].column]?.toFixed(4) ?? 'n/a';
  return { configuration: key, note: `${metric} ${value}${before === undefined ? '' : ', measured before'}` };
}

/** A test that was entered. */
export async function enteredTest(db: Db, test: string) {
  const found = await abTest(db, test);
  if (found === undefined) throw terminalFailure('InvalidRequest', `A/B test ${test}: there is no such one`);
  // They were checked when they were entered.
  return {
    ...found,
    metric: found.metric as Metric,
    arms: found.arms as Arm[],
    seeds: found.seeds as number[],
  };
}
