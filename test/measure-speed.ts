/**
 * How long 10,000 new ratings take from a pass's start to trending, and what readers pay for the overlay: a generated
 * source, a whole night over it, then passes, on a PostgreSQL and a Temporal server of its own. The source is kept.
 *
 *     node test/measure-speed.ts 25000000 /var/tmp/measure-speed
 */

import { loadavg } from 'node:os';
import { type ProcessorTime, processorTime } from '../bench/night/processor-time.ts';
import { connect } from '../database/connect.ts';
import { copyDatabase, dropDatabase, startNightServers } from '../scripts/bench/servers.ts';
import { NEWEST_RATING, findSource } from '../scripts/bench/source.ts';
import { startLocalStack } from '../scripts/support/local-stack.ts';
import { outcomeOf, startNight } from '../scripts/support/start-night.ts';
import { TASK_QUEUES } from '../workflows/contracts.ts';
import type { speedLayer } from '../workflows/index.ts';

const [size = '25000000', directory = '/var/tmp/measure-speed'] = process.argv.slice(2);
const RATINGS = Number(size);
const NEW_RATINGS = 10_000;
const PASSES = 4;
const READS = 500;
const DATABASE = 'speed';
const HOUR = 3_600_000;
const AS_OF = NEWEST_RATING.getTime() + 2 * HOUR;

const say = (line: string): void => void process.stderr.write(`${line}\n`);
const seconds = (milliseconds: number): string => (milliseconds / 1000).toFixed(2);

const servers = await startNightServers(directory, say);
try {
  const source = await findSource(servers, { ratings: RATINGS }, { fresh: false, say });
  await copyDatabase(servers.admin.db, source, DATABASE);
  const url = servers.urlOf(DATABASE);
  const local = await startLocalStack(say, {
    env: { ...servers.env, DATABASE_URL: url },
    stateDirectory: servers.directory,
  });
  const database = connect({ url, applicationName: 'nightjar-measure', max: 2 });
  const { pool } = database;
  try {
    const { client } = local.temporal;
    const night = await startNight(client, { asOf: new Date(AS_OF).toISOString(), profile: 'small' });
    const outcome = await outcomeOf(night, night.result());
    say(`night: ${outcome.status}, ${outcome.reason}`);
    await readAs('before any pass');
    for (let nth = 1; nth <= PASSES; nth++) await measurePass(nth);
    await readAs('with an overlay');
    for (const query of [
      'select * from recommendations.batch_recs where user_id = 1',
      'select * from models.user_factors where user_id = 1',
      `select * from serving.movie_stats s where s.total_ratings > 0 order by s.total_ratings desc, s.movie_id limit 20`,
      'select * from recommendations.trending order by rank limit 20',
      'select user_id from recommendations.batch_recs order by user_id limit 1',
    ]) {
      const { rows } = await pool.query<{ 'QUERY PLAN': string }>(`explain (analyze, costs off) ${query}`);
      say(`\n${query}\n${rows.map((row) => row['QUERY PLAN']).join('\n')}`);
    }

    /** New ratings by a twentieth of the users and one newcomer, then a pass: when are they there to see? */
    async function measurePass(nth: number): Promise<void> {
      const asOf = new Date(AS_OF + nth * HOUR).toISOString();
      await pool.query(
        `insert into movielens.ratings
         select users.ids[1 + (hashint4(g) & 1048575) % ceil(cardinality(users.ids) / 20.0)::integer * 20],
                movies.ids[1 + (hashint4(g + 1) & 1048575) % cardinality(movies.ids)],
                0.5 + (g % 10) / 2.0, $1::timestamptz - interval '1 minute'
         from generate_series($2::integer, $2 + $3 - 1) g,
              (select array_agg(user_id) as ids from store.user_factors) users,
              (select array_agg(movie_id) as ids from store.item_factors) movies`,
        [asOf, nth * NEW_RATINGS, NEW_RATINGS],
      );
      const newcomer = 10_000_000 + nth;
      await pool.query(
        `insert into movielens.ratings select $1, movie_id, 4, $2 from store.item_factors order by movie_id limit 5`,
        [newcomer, asOf],
      );
      const load = loadavg()[0].toFixed(1);
      const before = (await processorTime(process.pid)) as ProcessorTime;
      const began = performance.now();
      const handle = await client.workflow.start<typeof speedLayer>('speedLayer', {
        workflowId: `measured-${nth}`,
        taskQueue: TASK_QUEUES.pipeline,
        args: [{ asOf }],
      });
      const isShown = async (): Promise<boolean> =>
        (await pool.query('select from recommendations.trending where as_of = $1 limit 1', [asOf]))
          .rowCount === 1;
      while (!(await isShown())) await new Promise((resolve) => setTimeout(resolve, 20));
      const shown = performance.now() - began;
      const shownTime = (await processorTime(process.pid)) as ProcessorTime;
      const result = await handle.result();
      const whole = performance.now() - began;
      const after = (await processorTime(process.pid)) as ProcessorTime;
      const { rows } = await pool.query<{ lists: number; rated: number }>(
        `select count(*) as lists, count(*) filter (where exists (
           select from movielens.ratings r where r.user_id = $1 and r.movie_id = f.movie_id)) as rated
         from recommendations.for_user($1, 20) f where provenance = 'fold-in'`,
        [newcomer],
      );
      say(
        `pass ${nth}: in trending after ${seconds(shown)} s (${(shownTime.own - before.own).toFixed(2)} s of processor time), ended after ${seconds(whole)} s (${(after.own - before.own).toFixed(2)} s); load before ${load}; newcomer: ${rows[0].lists} recommendations, ${rows[0].rated} of them rated; ${result.note}`,
      );
    }

    async function readAs(when: string): Promise<void> {
      const users = await pool.query<{ user_id: number }>(
        `select user_id from store.user_factors order by hashint4(user_id) limit ${READS / 2}`,
      );
      const folded = await pool.query<{ user_id: number }>(
        `select user_id from speed.overlay order by hashint4(user_id) limit ${READS / 2}`,
      );
      for (const [who, list] of [
        ['users of the night', users.rows],
        ['folded in', folded.rows],
      ] as const) {
        const times: number[] = [];
        for (const { user_id } of list) {
          const began = performance.now();
          await pool.query('select * from recommendations.for_user($1, 20)', [user_id]);
          times.push(performance.now() - began);
        }
        times.sort((a, b) => a - b);
        const at = (share: number): string =>
          times.at(Math.floor(times.length * share))?.toFixed(1) ?? 'none';
        say(`for_user ${when}, ${who}: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms of ${times.length}`);
      }
    }
  } finally {
    await database.close();
    await local.stop();
    await dropDatabase(servers.admin.db, DATABASE).catch(() => undefined);
  }
} finally {
  await servers.stop();
}
process.exit();
