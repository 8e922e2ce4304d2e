import { sql } from 'kysely';
import { type ModelConfiguration, type Settings, settingsHash } from '../../config/settings.ts';
import type { Db } from '../../database/connect.ts';
import { blockedAt } from '../../database/block-list.ts';
import { transaction } from '../../database/session.ts';
import type { GateScope, RunStatus } from '../../database/types/index.ts';
import { configurationKey } from '../../recommender/index.ts';
import { type Forgotten, wouldForget } from '../publishing/would-forget.ts';
import { type DeclaredCheck, declaredChecks } from '../quality/declared-checks.ts';
import { servingChampion } from '../selection/champion.ts';
import { assertMeant } from '../support/database.ts';
import type { ActivityDependencies } from '../support/run.ts';
import { settingsOf } from '../support/settings.ts';
import { type SourceCounts, countSource } from '../quality/count-source.ts';

export interface PlanNightInput {
  asOf: string;
  profile: string;
  overrides?: string[];
  database?: string;
}

/** What a night that started now would do, as far as it can be known before. */
export interface NightPlan {
  as_of: string;
  profile: string;
  /** What the ledger makes of it, and why. */
  start: { what: 'new run' | 'known run' | 'refusal' | 'wait'; why: string; run: number | null };
  source: SourceCounts;
  gates: { scope: GateScope; checks: DeclaredCheck[] }[];
  train: {
    baseline: 'popular';
    challengers: string[];
    /** The configuration that serves; null on the first night. */
    champion: string | null;
    /** Twins that are trained beside the baseline. */
    twins: number;
  };
  decide: Pick<Settings, 'selection' | 'alarm'>;
  publish: { may: boolean; why: string; served: string | null; blocked_movies: number };
  forget: Forgotten;
}

/** Looks what tonight would read, check, train, publish and delete. Writes nothing. */
export async function planNight(
  { connection, source }: ActivityDependencies,
  input: PlanNightInput,
  signal: AbortSignal,
): Promise<NightPlan> {
  const settings = settingsOf(input);
  await assertMeant(connection, input.database);
  const counts = await countSource(source, new Date(input.asOf), signal);
  // One view of the ledger and of what is served, and one that cannot write.
  return transaction(
    connection,
    async ({ db }) => {
      await sql`set transaction read only`.execute(db);
      return {
        as_of: input.asOf,
        profile: input.profile,
        start: await planStart(db, input, settings),
        source: counts,
        gates: declaredChecks(settings),
        train: await planTraining(db, settings.challengers),
        decide: { selection: settings.selection, alarm: settings.alarm },
        ...(await planPublish(db, new Date(input.asOf), settings)),
      };
    },
    { signal, isolation: 'repeatable read' },
  );
}

async function planStart(db: Db, { asOf }: PlanNightInput, settings: Settings): Promise<NightPlan['start']> {
  const runs = await db
    .selectFrom('pipeline.runs')
    .select(['run', 'as_of', 'status', 'settings_hash'])
    .where('status', 'in', ['running', 'success'])
    .where((eb) => eb.or([eb('as_of', '=', new Date(asOf)), eb('status', '=', 'running')]))
    .orderBy('run', 'desc')
    .execute();
  const known = runs.find((one) => one.as_of.getTime() === new Date(asOf).getTime());
  if (known !== undefined) {
    const { run, status } = known;
    const state = stateOf(status);
    return known.settings_hash === settingsHash(settings)
      ? { what: 'known run', run, why: `run ${run} ${state} for this as-of: its outcome is returned` }
      : { what: 'refusal', run, why: `run ${run} ${state} for this as-of with other settings` };
  }
  const live = runs.find(({ status }) => status === 'running');
  return live === undefined
    ? { what: 'new run', run: null, why: 'no live or successful run has this as-of' }
    : {
        what: 'wait',
        run: live.run,
        why: `run ${live.run}, as-of ${live.as_of.toISOString()}, is live: a new run starts at its end`,
      };
}

function stateOf(status: RunStatus): string {
  return status === 'running' ? 'is live' : 'was finished';
}

async function planTraining(db: Db, challengers: ModelConfiguration[]): Promise<NightPlan['train']> {
  const champion = (await servingChampion(db))?.configuration ?? null;
  const keys = challengers.map(configurationKey);
  const twins = new Set(champion === null ? keys : [...keys, champion]).size;
  return { baseline: 'popular', challengers: keys, champion, twins };
}

async function planPublish(
  db: Db,
  asOf: Date,
  settings: Settings,
): Promise<Pick<NightPlan, 'publish' | 'forget'>> {
  const pointer = await db
    .selectFrom('serving.pointer as p')
    .innerJoin('serving.versions as v', 'v.run', 'p.model_run')
    .select(['p.as_of', 'v.model_version'])
    .executeTakeFirst();
  const may = pointer === undefined || pointer.as_of <= asOf;
  const { rows } = await sql<{ movies: number }>`
    select count(*) as movies from ${blockedAt(new Date())} blocked`.execute(db);
  return {
    publish: {
      may,
      why:
        pointer === undefined
          ? 'nothing is published yet'
          : may
            ? `published is as-of ${pointer.as_of.toISOString()}, which is not newer`
            : `a backfill: as-of ${pointer.as_of.toISOString()} is published, so this is computed and logged only`,
      served: pointer?.model_version ?? null,
      blocked_movies: rows[0].movies,
    },
    forget: await wouldForget(db, settings, may),
  };
}
