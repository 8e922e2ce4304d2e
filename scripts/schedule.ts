/** What runs by itself: declared in config/schedules.ts, applied here. */

import { ScheduleOverlapPolicy } from '@temporalio/client';
import { schedules } from '../config/schedules.ts';
import { UsageError } from '../config/settings.ts';
import {
  type Difference,
  applySchedule,
  compareSchedule,
  describeSchedule,
  orphanedSchedules,
} from '../temporal/schedules.ts';
import { createCommand, options, parseAsOf, run } from './support/cli.ts';
import { type ConnectedServers, connectServers } from './support/connect-servers.ts';
import { print } from './support/night.ts';
import { table } from './support/table.ts';

const NIGHTLY = schedules[0].id;

async function withTemporal(body: (servers: ConnectedServers) => Promise<void>): Promise<void> {
  const connected = await connectServers();
  try {
    await body(connected);
  } finally {
    await connected.temporal.close();
  }
}

/** Runs `body` on the handle of a schedule that exists. */
function withSchedule(
  id: string,
  body: (
    handle: ReturnType<ConnectedServers['temporal']['client']['schedule']['getHandle']>,
    connected: ConnectedServers,
  ) => Promise<void>,
): Promise<void> {
  return withTemporal(async (connected) => {
    const { client } = connected.temporal;
    if ((await describeSchedule(client, id)) === null) {
      throw new UsageError(
        `--id ${id}: there is no such schedule; npm run schedule -- apply creates the declared ones`,
      );
    }
    await body(client.schedule.getHandle(id), connected);
  });
}

function tell(json: boolean | undefined, value: object, line: string): void {
  if (json === true) print(value);
  else console.log(line);
}

const id = () => options.scheduleId(NIGHTLY);

const apply = createCommand('apply', 'Make the schedules what they are declared to be; a pause stays.', [
  'npm run schedule -- apply',
  'npm run schedule -- apply --check',
])
  .option('--check', 'change nothing; exit code 1 where something differs')
  .addOption(options.json())
  .action(({ check, json }: { check?: boolean; json?: boolean }) =>
    withTemporal(async ({ temporal: { client } }) => {
      const differences: (Difference & { schedule: string })[] = [];
      for (const declared of schedules) {
        const found = await (check === true ? compareSchedule : applySchedule)(client, declared);
        differences.push(...found.map((difference) => ({ schedule: declared.id, ...difference })));
      }
      const orphans = await orphanedSchedules(client);
      if (json === true) print({ differences, orphans });
      else {
        if (differences.length === 0) console.log('nothing differs');
        for (const { schedule, property, found, declared } of differences) {
          console.log(`${schedule}: ${property} ${found === null ? '' : `${found} → `}${declared}`);
        }
        for (const orphan of orphans) console.log(`${orphan}: not declared; remove it with --id ${orphan}`);
      }
      if (check === true && differences.length + orphans.length > 0) process.exitCode = 1;
    }),
  );

const show = createCommand('show', 'Show the schedules, their next times and last runs.', [
  'npm run schedule -- show',
])
  .addOption(options.json())
  .action(({ json }: { json?: boolean }) =>
    withTemporal(async ({ temporal: { client } }) => {
      const found = [];
      for await (const { scheduleId } of client.schedule.list()) {
        const description = await describeSchedule(client, scheduleId);
        if (description === null) continue;
        const { state, info } = description;
        found.push({
          id: scheduleId,
          paused: state.paused,
          note: state.note ?? null,
          next: info.nextActionTimes.at(0)?.toISOString() ?? null,
          last: info.recentActions.at(-1)?.scheduledAt.toISOString() ?? null,
          taken: info.numActionsTaken,
          missed: info.numActionsMissedCatchupWindow,
          skipped: info.numActionsSkippedOverlap,
        });
      }
      // The server lists them in any order.
      found.sort((a, b) => (a.id < b.id ? -1 : 1));
      if (json === true) print(found);
      else if (found.length === 0)
        console.log('no schedules; npm run schedule -- apply creates the declared ones');
      else {
        console.log(
          table(
            ['schedule', 'paused', 'next', 'last', 'taken', 'missed', 'skipped'],
            found.map((row) => [
              row.id,
              row.paused ? (row.note ?? 'yes') : '',
              row.next,
              row.last,
              row.taken,
              row.missed,
              row.skipped,
            ]),
          ),
        );
      }
    }),
  );

const pause = createCommand('pause', 'Pause a schedule; apply leaves it paused.', [
  'npm run schedule -- pause --note "source is being rebuilt"',
])
  .addOption(id())
  .requiredOption('--note <text>', 'required: why, for whoever looks at it later')
  .addOption(options.json())
  .action((given: { id: string; note: string; json?: boolean }) =>
    withSchedule(given.id, async (handle) => {
      await handle.pause(given.note);
      tell(
        given.json,
        { id: given.id, paused: true, note: given.note },
        `${given.id} is paused: ${given.note}; a night that runs, and those of a backfill, go on`,
      );
    }),
  );

const resume = createCommand('resume', 'Resume a paused schedule.', ['npm run schedule -- resume'])
  .addOption(id())
  .addOption(options.json())
  .action((given: { id: string; json?: boolean }) =>
    withSchedule(given.id, async (handle) => {
      await handle.unpause('resumed');
      tell(given.json, { id: given.id, paused: false }, `${given.id} is resumed`);
    }),
  );

const trigger = createCommand('trigger', 'Run a schedule now, once.', ['npm run schedule -- trigger'])
  .addOption(id())
  .addOption(options.json())
  .action((given: { id: string; json?: boolean }) =>
    withSchedule(given.id, async (handle) => {
      const { runningActions } = (await handle.describe()).info;
      if (runningActions.length > 0) {
        throw new UsageError(
          `--id ${given.id}: ${runningActions[0].workflow.workflowId} is under way, and one night runs at a time`,
        );
      }
      await handle.trigger(ScheduleOverlapPolicy.SKIP);
      tell(
        given.json,
        { id: given.id, triggered: true },
        `${given.id} is triggered: npm run pipeline -- status`,
      );
    }),
  );

const backfill = createCommand(
  'backfill',
  'Run the nights of a range, oldest first; what is older than the published is computed and not published.',
  ['npm run schedule -- backfill --from 2026-11-20T00:00:00Z --to 2026-11-23T00:00:00Z'],
)
  .addOption(id())
  .requiredOption('--from <instant>', 'required: first instant of the range, ISO 8601', parseAsOf)
  .requiredOption('--to <instant>', 'required: last instant of the range', parseAsOf)
  .addOption(options.json())
  .action((given: { id: string; from: string; to: string; json?: boolean }) => {
    if (given.from > given.to) throw new UsageError(`--from ${given.from}: is later than --to ${given.to}`);
    return withSchedule(given.id, async (handle, { temporal, servers }) => {
      const nights = await nightsBetween(temporal, servers.temporalNamespace, given);
      if (nights === 0)
        throw new UsageError(`--from ${given.from}: no night of ${given.id} lies before --to ${given.to}`);
      if (nights > MOST_NIGHTS)
        throw new UsageError(`--from ${given.from}: ${nights} nights; expected ${MOST_NIGHTS} at most`);
      await handle.backfill({
        start: new Date(given.from),
        end: new Date(given.to),
        overlap: ScheduleOverlapPolicy.BUFFER_ALL,
      });
      tell(
        given.json,
        { id: given.id, from: given.from, to: given.to, nights },
        `${given.id} runs ${nights} nights, one after another, paused or not: npm run pipeline -- status`,
      );
    });
  });

/** A quarter of daily nights: more than that is a slip of the keyboard, and nobody could stop it. */
const MOST_NIGHTS = 92;

async function nightsBetween(
  { connection }: ConnectedServers['temporal'],
  namespace: string,
  { id: scheduleId, from, to }: { id: string; from: string; to: string },
): Promise<number> {
  const timestamp = (instant: string) => ({ seconds: Math.floor(Date.parse(instant) / 1000) as never });
  const { startTime } = await connection.workflowService.listScheduleMatchingTimes({
    namespace,
    scheduleId,
    startTime: timestamp(from),
    endTime: timestamp(to),
  });
  return startTime.length;
}

const remove = createCommand('remove', 'Remove a schedule; runs that are under way go on.', [
  'npm run schedule -- remove --id nightjar-nightly',
])
  .requiredOption('--id <schedule>', 'required: which')
  .addOption(options.json())
  .action((given: { id: string; json?: boolean }) =>
    withSchedule(given.id, async (handle) => {
      await handle.delete();
      tell(given.json, { id: given.id, removed: true }, `${given.id} is removed`);
    }),
  );

await run(
  createCommand('schedule', 'What runs by itself.')
    .addCommand(apply)
    .addCommand(show)
    .addCommand(pause)
    .addCommand(resume)
    .addCommand(trigger)
    .addCommand(backfill)
    .addCommand(remove),
);
