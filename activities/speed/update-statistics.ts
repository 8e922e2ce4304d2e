import { sql } from 'kysely';
import { type Settings, overrideSettings, resolveSettings } from '../../config/settings.ts';
import type { Db } from '../../database/connect.ts';
import { type Session, transaction } from '../../database/session.ts';
import { type SourceReader, withSource } from '../ingestion/source-reader.ts';
import { assertMeant } from '../support/database.ts';
import { type ActivityDependencies, loadRun } from '../support/run.ts';
import { asRequested } from '../support/settings.ts';
import type { StageResult } from '../support/stage.ts';
import type { Heartbeat } from '../support/with-heartbeat.ts';
import { type Base, findBase } from './base.ts';
import { findChanged, readPresent } from './changed-rows.ts';
import { dropHandedOver, ratingsTable } from './handed-over.ts';
import { replaceStatistics } from './statistics.ts';

export interface UpdateStatisticsInput {
  asOf: string;
  /** Named set of defaults; the settings of the nights whose data and version are served where it is left out. */
  profile?: string;
  overrides?: string[];
  /** As in `NightlyRequest`. */
  database?: string;
  workflowId: string;
  executionId: string;
}

export interface UpdateStatisticsResult extends StageResult {
  /** Null where there is nothing to go by, as the note says: nothing was written then. */
  pass: number | null;
  /** The run whose snapshot it goes by. */
  run: number | null;
  asOf: string;
  changedUsers: number;
  note: string;
}

/** A night may finish its snapshot while a pass begins; that two do is as good as impossible. */
const TRIES = 3;

/**
 * Brings trending and movie statistics to the present: what the newest snapshot holds, but for the users who are not in
 * the source as it has read them. Never from an earlier pass, so that one that is repeated, overlaps or is lost changes
 * nothing. One transaction, on one view of everything.
 */
export async function updateStatistics(
  dependencies: ActivityDependencies,
  input: UpdateStatisticsInput,
  { signal, report }: Heartbeat,
): Promise<UpdateStatisticsResult> {
  const { connection } = dependencies;
  await assertMeant(connection, input.database);
  const done = await storedPass(connection.db, input);
  if (done !== null) return done;
  const latest = await connection.db.selectFrom('speed.latest').select('pass').executeTakeFirst();
  if (latest !== undefined) await dropHandedOver(connection, latest.pass);
  for (let tries = 0; tries < TRIES; tries++) {
    const base = await findBase(connection.db);
    if ('refusal' in base) return nothing(input, base.refusal);
    report({ step: `comparing the source with the snapshot of run ${base.snapshot.run}` });
    const result = await withSource(dependencies, signal, (reader) =>
      transaction(connection, (session) => updateInView(session, reader, base, input), {
        signal,
        isolation: 'repeatable read',
        ...reader.view,
      }),
    ).catch(explainConflict);
    if (result !== null) return result;
  }
  throw new Error(
    `speed layer as-of ${input.asOf}: nights finished their snapshots ${TRIES} times while it began; expected one to stay, and it is tried again`,
  );
}

const nothing = ({ asOf }: UpdateStatisticsInput, note: string): UpdateStatisticsResult => ({
  rows: 0,
  pass: null,
  run: null,
  asOf,
  changedUsers: 0,
  note,
});

/** @returns null where another snapshot is the newest in this view than in the one before the source was opened */
async function updateInView(
  session: Session,
  reader: SourceReader,
  { snapshot }: Base,
  input: UpdateStatisticsInput,
): Promise<UpdateStatisticsResult | null> {
  const { db } = session;
  const base = await findBase(db);
  // Read before the source was: what the source has then is newer than the snapshot.
  if ('refusal' in base || base.snapshot.run !== snapshot.run) return null;
  const requested = new Date(input.asOf);
  const asOf = requested < snapshot.as_of ? snapshot.as_of : requested;
  const settings = await settingsOfPass(db, base, input);
  const users = await findChanged(session, reader, base, asOf);
  if (users === null) {
    return nothing(
      input,
      `most of the source has changed since run ${snapshot.run}: the next night reads it as a whole`,
    );
  }
  const pass = await enterPass(db, base, input, { asOf, settings, users });
  const present = ratingsTable(pass);
  const ratings = await readPresent(session, reader, { target: present, users, snapshot, asOf });
  const { movies, since } = await replaceStatistics(db, {
    snapshot,
    present,
    users,
    settings: settings.trending,
    asOf,
  });
  const latest = {
    pass,
    base_run: snapshot.run,
    base_as_of: snapshot.as_of,
    recent_since: since,
  };
  await db
    .insertInto('speed.latest')
    .values({ only_row: true, ...latest })
    .onConflict((conflict) => conflict.column('only_row').doUpdateSet(latest))
    .execute();
  await db
    .updateTable('speed.passes')
    .set({ ratings, movies, finished_at: sql`clock_timestamp()` })
    .where('pass', '=', pass)
    .execute();
  return toResult({ pass, base_run: snapshot.run, as_of: asOf, changed_users: users, movies });
}

type PassSettings = Pick<Settings, 'trending' | 'recommendations'>;

/** As the nights have it that readers see, unless others are asked for. */
async function settingsOfPass(
  db: Db,
  { dataRun, modelRun }: Base,
  { profile, overrides }: UpdateStatisticsInput,
): Promise<PassSettings> {
  const of = async (run: number): Promise<Settings> => {
    if (profile !== undefined) return asRequested(() => resolveSettings(profile, overrides));
    const { settings } = await loadRun(db, run);
    return asRequested(() => overrideSettings(settings, overrides));
  };
  return { trending: (await of(dataRun)).trending, recommendations: (await of(modelRun)).recommendations };
}

async function enterPass(
  db: Db,
  { snapshot, modelRun }: Base,
  { workflowId, executionId }: UpdateStatisticsInput,
  found: { asOf: Date; settings: PassSettings; users: number },
): Promise<number> {
  const { pass } = await db
    .insertInto('speed.passes')
    .values({
      workflow_id: workflowId,
      execution_id: executionId,
      as_of: found.asOf,
      base_run: snapshot.run,
      model_run: modelRun,
      settings: JSON.stringify(found.settings),
      read_at: sql`now()`,
      changed_users: found.users,
      ratings: 0,
      movies: 0,
      finished_at: sql`clock_timestamp()`,
    })
    .returning('pass')
    .executeTakeFirstOrThrow();
  return pass;
}

/** What a lost completion had said. */
async function storedPass(
  db: Db,
  { workflowId, executionId }: UpdateStatisticsInput,
): Promise<UpdateStatisticsResult | null> {
  const row = await db
    .selectFrom('speed.passes')
    .select(['pass', 'base_run', 'as_of', 'changed_users', 'movies'])
    .where('workflow_id', '=', workflowId)
    .where('execution_id', '=', executionId)
    .executeTakeFirst();
  return row === undefined ? null : toResult(row);
}

function toResult(row: {
  pass: number;
  base_run: number;
  as_of: Date;
  changed_users: number;
  movies: number;
}): UpdateStatisticsResult {
  return {
    rows: row.movies,
    pass: row.pass,
    run: row.base_run,
    asOf: row.as_of.toISOString(),
    changedUsers: row.changed_users,
    note: `${row.changed_users.toLocaleString('en')} users changed since run ${row.base_run}`,
  };
}

/** Two passes at once would both replace the same rows: the database lets one of them. */
function explainConflict(error: unknown): never {
  const CONFLICTS = ['40001', '23505', '40P01'];
  if (!CONFLICTS.includes(String((error as { code?: unknown }).code))) throw error;
  throw new Error(
    'speed layer: another pass has finished meanwhile, expected one at a time; nothing was written by this one, and it is tried again',
    { cause: error },
  );
}
