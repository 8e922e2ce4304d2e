import { isDeepStrictEqual } from 'node:util';
import { ApplicationFailure } from '@temporalio/common';
import { type ModelConfiguration, type Settings, settingsHash } from '../../config/settings.ts';
import type { Connection, Db } from '../../database/connect.ts';
import { transaction } from '../../database/session.ts';
import type { RunStatus } from '../../database/types/index.ts';
import { assertMeant } from '../support/database.ts';
import { terminalFailure } from '../support/failures.ts';
import { settingsOf } from '../support/settings.ts';
import { dropLeftovers } from '../publishing/leftovers.ts';
import { championAtStart } from '../selection/champion.ts';
import type { OperatorInput } from '../selection/decide-by-operator.ts';
import { waitingAlerts } from './alerts.ts';
import { loadOutcome } from './close-run.ts';
import { closeLostRun } from './lost-runs.ts';
import type { RunOutcome } from './outcome.ts';
import type { OwnTemporal } from './own-temporal.ts';

export interface BeginRunInput {
  asOf: string;
  profile: string;
  overrides?: string[];
  database?: string;
  workflowId: string;
  executionId: string;
}

export interface BegunRun {
  run: number;
  /** Set where the as-of has its run already: what it came to, or that it is live. */
  known: RunOutcome | null;
  challengers: ModelConfiguration[];
  /** The configuration that serves, where it is not among the challengers: one or none. */
  champion: ModelConfiguration[];
  /** Set where a run was re-opened: what its undone stages have left is to go first. */
  reopened?: true;
  /** An operator's word that a re-opened run has, and is not asked for again. */
  word?: Omit<OperatorInput, 'run'>;
  /** Alerts that nobody delivers yet: of a run that was found terminated, if any. */
  alertsWaiting?: number;
}

/** A night that another Temporal service runs counts as live for longer than any night may take. */
const ELSEWHERE_MILLISECONDS = 24 * 3_600_000;

/** Another night is live: asked again until it has ended. */
const BUSY_RETRY_DELAY = '5s';

/**
 * Enters a run in the ledger, or finds the one that the as-of has. A live run whose workflow is closed was
 * terminated: its row is closed here, so that one lost night never blocks the next.
 */
export async function beginRun(
  connection: Connection,
  temporal: OwnTemporal,
  codeVersion: string,
  input: BeginRunInput,
): Promise<BegunRun> {
  const settings = settingsOf(input);
  const hash = settingsHash(settings);
  assertHasCome(input);
  await assertMeant(connection, input.database);
  const namespaceId = await temporal.namespaceId();
  const underWay = await meetLiveRun(connection, { ...temporal, id: namespaceId }, input, hash);
  if (underWay !== null) return { ...nothingToDo, run: underWay.run, known: underWay };

  const begun = await transaction(connection, async ({ db }): Promise<BegunRun> => {
    const asOf = new Date(input.asOf);
    const earlier = await db
      .selectFrom('pipeline.runs')
      .select(['run', 'status', 'settings_hash', 'execution_id'])
      .where('as_of', '=', asOf)
      .where('status', 'in', ['running', 'success'])
      .executeTakeFirst();
    if (earlier?.status === 'success') {
      assertSameSettings(input, earlier, hash);
      return { ...nothingToDo, run: earlier.run, known: await loadOutcome(db, earlier.run) };
    }
    // A lost completion: this workflow has its row already.
    const own = earlier?.execution_id === input.executionId ? earlier.run : null;
    const run = own ?? (await insertRun(db, input, { settings, hash, codeVersion, namespaceId }));
    if (run === null) throw anotherIsLive(`as-of ${input.asOf} was started twice at this moment: asks again`);
    return {
      run,
      known: null,
      challengers: settings.challengers,
      champion: await championBeside(db, run, settings),
    };
  });
  if (begun.known === null) await dropLeftovers(connection, begun.run);
  return { ...begun, alertsWaiting: await waitingAlerts(connection.db) };
}

/**
 * Deals with the run that is live, if it is another workflow's.
 * @returns what is known of it where it is that of the as-of; null where nothing is in the way any more
 * @throws AnotherRunIsLive where it has to be waited for, RunConflict where it has other settings
 */
async function meetLiveRun(
  connection: Connection,
  temporal: Pick<OwnTemporal, 'isOpen'> & { id: string },
  input: BeginRunInput,
  hash: string,
): Promise<RunOutcome | null> {
  const live = await connection.db
    .selectFrom('pipeline.runs')
    .select(['run', 'as_of', 'workflow_id', 'execution_id', 'settings_hash', 'namespace_id', 'live_since'])
    .where('status', '=', 'running')
    .executeTakeFirst();
  if (live === undefined || live.execution_id === input.executionId) return null;
  const { run, workflow_id: workflowId, execution_id: executionId, namespace_id: itsNamespace } = live;
  const wait = (why: string) =>
    anotherIsLive(
      `as-of ${input.asOf} waits: run ${run} (workflow ${workflowId}) is live${why}`,
      BUSY_RETRY_DELAY,
    );
  if (itsNamespace !== temporal.id) {
    if (Date.now() - live.live_since.getTime() < ELSEWHERE_MILLISECONDS)
      throw wait(` in another Temporal namespace, ${itsNamespace}; see the runbook, "Two Temporal servers"`);
  } else if (await temporal.isOpen({ workflowId, executionId })) {
    if (live.as_of.getTime() !== new Date(input.asOf).getTime())
      throw wait(', and one run at a time writes the snapshot');
    assertSameSettings(input, { ...live, status: 'running' }, hash);
    return loadOutcome(connection.db, run);
  }
  await closeLostRun(connection, run, workflowId);
  return null;
}

/** Clocks of several machines differ by less. */
const TOLERANCE_MILLISECONDS = 5 * 60_000;

/** Published, an as-of of the future would keep every night before it from being published. */
function assertHasCome({ asOf }: BeginRunInput): void {
  if (new Date(asOf).getTime() <= Date.now() + TOLERANCE_MILLISECONDS) return;
  throw terminalFailure(
    'InvalidRequest',
    `as-of ${asOf} lies in the future; expected an instant that has come`,
  );
}

function anotherIsLive(message: string, nextRetryDelay?: '5s'): ApplicationFailure {
  return ApplicationFailure.create({ type: 'AnotherRunIsLive', message, nextRetryDelay });
}

const nothingToDo = { challengers: [], champion: [] };

/** An as-of has one configuration: asking for it with another is refused, not answered with something else. */
function assertSameSettings(
  { asOf }: BeginRunInput,
  existing: { run: number; settings_hash: string; status: RunStatus },
  hash: string,
): void {
  if (existing.settings_hash === hash) return;
  throw terminalFailure(
    'RunConflict',
    `as-of ${asOf} ${existing.status === 'running' ? 'is being run' : 'was finished'} by run ${existing.run} with other settings; expected the same ones, or choose another as-of`,
  );
}

/** Null where a run that was entered at the same moment holds the as-of, or the one place of a live run. */
async function insertRun(
  db: Db,
  input: BeginRunInput,
  entry: { settings: Settings; hash: string; codeVersion: string; namespaceId: string },
): Promise<number | null> {
  const asOf = new Date(input.asOf);
  const pointer = await db.selectFrom('serving.pointer').select('as_of').executeTakeFirst();
  const inserted = await db
    .insertInto('pipeline.runs')
    .values({
      as_of: asOf,
      profile: input.profile,
      settings_hash: entry.hash,
      settings: JSON.stringify(entry.settings),
      workflow_id: input.workflowId,
      execution_id: input.executionId,
      namespace_id: entry.namespaceId,
      status: 'running',
      may_publish: pointer === undefined || pointer.as_of <= asOf,
      code_version: entry.codeVersion,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning('run')
    .executeTakeFirst();
  return inserted?.run ?? null;
}

/** The configuration that served when the run began, where it is not among the challengers of the settings: one or none. */
export async function championBeside(db: Db, run: number, settings: Settings): Promise<ModelConfiguration[]> {
  const champion = await championAtStart(db, run);
  if (champion === null) return [];
  const configuration = champion.parameters;
  const same = (other: ModelConfiguration): boolean => isDeepStrictEqual(other, configuration);
  return settings.challengers.some(same) ? [] : [configuration];
}
