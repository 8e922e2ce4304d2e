/**
 * An ad-hoc A/B test before its comparison. Its rows are only ever added, each under a key of its own: equal
 * configurations on one snapshot give equal results, so whichever attempt writes a row writes the right one, and no
 * fencing token is needed.
 */

import { isDeepStrictEqual } from 'node:util';
import { type AbTestInput, type Arm, checkAbTest, trainings } from '../../config/ab-test.ts';
import { METRICS, type Metric } from '../../config/metrics.ts';
import { UsageError } from '../../config/settings.ts';
import type { Db } from '../../database/connect.ts';
import { abTest, chooseSnapshot, keptSnapshots } from '../../database/experiments.ts';
import { transaction } from '../../database/session.ts';
import { UnusableModelError, configurationKey, trainModel } from '../../recommender/index.ts';
import { assertMeant } from '../support/database.ts';
import { terminalFailure } from '../support/failures.ts';
import { type ActivityDependencies, loadRun } from '../support/run.ts';
import type { Heartbeat } from '../support/with-heartbeat.ts';
import { reportIterations } from './progress.ts';
import { storeTwin } from './store-twin.ts';
import { measureTwin } from './twin.ts';

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
  const { arms, metric, salt = null, seeds = [] } = checked(input);
  await assertMeant(connection, input.database);
  const test = input.workflowId;
  if ((await abTest(db, test)) === undefined) {
    const run = await snapshotFor(db, input.run);
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

function checked({ arms, metric, salt, seeds }: AbTestInput): AbTestInput {
  try {
    return checkAbTest({ arms, metric, salt, seeds });
  } catch (error) {
    if (error instanceof UsageError) throw terminalFailure('InvalidRequest', error.message);
    throw error;
  }
}

async function snapshotFor(db: Db, run: number | undefined): Promise<number> {
  const kept = await keptSnapshots(db);
  const chosen = chooseSnapshot(kept, run);
  if (chosen?.status === 'running') {
    throw terminalFailure(
      'InvalidRequest',
      `run ${chosen.run} is live and measures twins of its own, expected a run that has ended; wait for its end`,
    );
  }
  if (chosen !== undefined) return chosen.run;
  const there =
    kept.length === 0 ? 'there is none' : `there are those of runs ${kept.map((one) => one.run).join(', ')}`;
  throw terminalFailure(
    'SnapshotGone',
    `the snapshot of ${run === undefined ? 'a run that came to its end' : `run ${run}`} is not kept, expected one that is, and ${there}; test on another run, or start a night first`,
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
    if (!(await keptSnapshots(connection.db)).some((kept) => kept.run === run)) {
      throw terminalFailure(
        'SnapshotGone',
        `A/B test ${test}: the snapshot of run ${run} was dropped by a later night, expected it to be kept to the last arm; test on a newer run`,
      );
    }
    const twin = await measureTwin(dependencies, run, heartbeat, (matrix) =>
      trainModel(matrix, configuration, {
        threads: dependencies.threads,
        signal: heartbeat.signal,
        onIteration: reportIterations(heartbeat.report, configuration),
      }),
    ).catch((error: unknown) => {
      if (!(error instanceof UnusableModelError)) throw error;
      throw terminalFailure(
        'ModelUnusable',
        `A/B test ${test}, ${key}: ${error.message}, expected finite ones; look at the arm's regularisation and rank`,
      );
    });
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
async function enteredTest(db: Db, test: string) {
  const found = await abTest(db, test);
  if (found === undefined) throw terminalFailure('InvalidRequest', `A/B test ${test}: there is no such one`);
  // They were checked when they were entered.
  return { ...found, metric: found.metric as Metric, arms: found.arms as Arm[] };
}
