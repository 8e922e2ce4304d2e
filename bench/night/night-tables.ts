/** The report for people: the stages, and the night as a whole beside its yardsticks. */

import { CHANGE_IN_WORDS } from './change.ts';
import type { Latencies } from './reads.ts';
import type { NightFigures, NightReport } from './report.ts';

export interface TextTable {
  head: string[];
  rows: string[][];
}

/** What others may take of the processors: a machine at rest has this much to do for itself. */
const QUIET_SHARE = 0.05;

const count = (value: number): string => Math.round(value).toLocaleString('en');
const seconds = (value: number): string => `${value.toFixed(2)} s`;
const megabytes = (value: number | null): string => (value === null ? 'not known' : `${count(value)} MB`);
const times = (value: number): string => `${value.toFixed(value < 10 ? 2 : 1)} times`;
const milliseconds = ({ p50_ms: p50, p99_ms: p99, p999_ms: p999, max_ms: max }: Latencies): string =>
  `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, p99.9 ${p999.toFixed(2)} ms, longest ${max.toFixed(1)} ms`;

/** A stage a row; beside it the same stage of the night before, where there was one. */
export function stageTable({ stages, first_night: first }: NightReport): TextTable {
  return {
    head: ['stage', 's', 'rows', 'rows/s', ...(first === null ? [] : ['first night, s'])],
    rows: stages.map(({ name, seconds: took, rows }) => {
      const before = first?.stages.find((stage) => stage.name === name);
      return [
        name,
        took.toFixed(2),
        count(rows),
        took > 0 ? count(rows / took) : '',
        ...(first === null ? [] : [before?.seconds.toFixed(2) ?? '']),
      ];
    }),
  };
}

/** The night as a whole, a figure a row: what, how much, and what it means or stands beside. */
export function nightTable(report: NightReport): TextTable {
  const { first_night: first, machine, profile, ratings, tables } = report;
  return {
    head: [
      `${count(ratings)} ratings, profile ${profile}`,
      first === null ? 'first night' : 'next night',
      '',
    ],
    rows: [
      ...timeRows(report),
      ...processorRows(report),
      ...memoryRows(report),
      ...changeRows(report),
      ...readRows(report),
      [
        'tables',
        megabytes(tables.reduce((sum, { mb }) => sum + mb, 0)),
        tables
          .slice(0, 5)
          .map(({ name, mb }) => `${name} ${count(mb)}`)
          .join(', '),
      ],
      ...yardstickRows(report),
      [
        'machine',
        `${machine.processors} processors`,
        `${machine.processor}, ${machine.memory_gb} GB, Node ${machine.node}, PostgreSQL ${machine.postgres}, load before ${machine.load_before.toFixed(2)}`,
      ],
    ],
  };
}

/** What a figure was in the nights before and after, where there were any. */
function inOthers(
  { first_night: first, read_night: read }: NightReport,
  show: (night: NightFigures) => string,
): string {
  return `${first === null ? '' : `; first night ${show(first)}`}${read === null ? '' : `; the one read from ${show(read)}`}`;
}

function timeRows(night: NightReport): string[][] {
  return [
    [
      'wall',
      seconds(night.wall_seconds),
      `from workflow start to published and logged${inOthers(night, (one) => seconds(one.wall_seconds))}`,
    ],
    [
      'orchestration',
      seconds(night.orchestration_seconds),
      `no activity running, of ${night.activities}${inOthers(night, (one) => seconds(one.orchestration_seconds))}`,
    ],
  ];
}

function processorRows({ processor_seconds: own, others_share: others }: NightReport): string[][] {
  if (own === null || others === null) return [];
  return [
    ['processor time', seconds(own), 'all processes of the night'],
    [
      '  of others',
      `${(others * 100).toFixed(0)}%`,
      others > QUIET_SHARE
        ? 'of the machine: it was not quiet, and no figure holds'
        : 'of the machine: it was quiet',
    ],
  ];
}

function memoryRows(night: NightReport): string[][] {
  const { worker_peak_rss_mb: worker, postgres_memory: postgres } = night;
  return [
    [
      'worker, peak resident',
      megabytes(worker),
      `its process, in this night${inOthers(night, (one) => megabytes(one.worker_peak_rss_mb))}`,
    ],
    [
      'PostgreSQL, peak resident',
      megabytes(postgres?.peak_mb ?? null),
      postgres === null
        ? ''
        : `${megabytes(postgres.private_mb)} private of all processes, ${megabytes(postgres.shared_mb)} shared; sampled`,
    ],
  ];
}

function changeRows({ change }: NightReport): string[][] {
  if (change === null) return [];
  const { share, rows, fresh, newcomers, corrected, late, deleted } = change;
  return [
    [
      'changed before',
      `${count(rows)} rows`,
      `${(share * 100).toFixed(2)}%: ${count(fresh)} new, ${count(newcomers)} of new users, ${count(corrected)} corrected, ${count(late)} late, ${count(deleted)} deleted`,
    ],
  ];
}

function readRows({ reads, read_night: read }: NightReport): string[][] {
  if (reads === null) return [];
  const { connections, reads_per_second: rate, errors, empty, mixed } = reads;
  return [
    [
      'reads meanwhile',
      count(reads.reads),
      `${rate} a second by ${connections} connections${read === null ? '' : ', in a night of their own, after another such change'}`,
    ],
    ['  all', '', milliseconds(reads)],
    ...Object.entries(reads.kinds).map(([kind, found]) => [
      `  ${kind}`,
      count(found.reads),
      milliseconds(found),
    ]),
    [
      '  wrong',
      count(errors + empty + mixed),
      `${errors} errors, ${empty} empty, ${mixed} with two versions`,
    ],
    ...reads.troubles.map((trouble) => ['', '', trouble]),
    ...reads.slowest.map(({ kind, ms, stages }, place) => [
      place === 0 ? '  slowest' : '',
      `${ms.toFixed(1)} ms`,
      `${kind}, in ${stages.join(', ') || 'no stage'}`,
    ]),
  ];
}

function yardstickRows({
  yardstick,
  spark,
  wall_seconds: wall,
  first_night: first,
  ratings,
}: NightReport): string[][] {
  const { count_seconds: counted, copy_seconds: copied, multiply_add_gflops: gflops } = yardstick;
  return [
    [
      'PostgreSQL alone',
      seconds(copied),
      `copies the ratings, ${count(ratings / copied)} rows/s: the night takes ${times(wall / copied)} as long`,
    ],
    ['', seconds(counted), 'counts them'],
    ['f32x4 multiply and add', `${gflops.toFixed(0)} GFLOP/s`, 'on as many threads as there are processors'],
    ...(spark === null
      ? []
      : [
          [
            'Spark night, same data',
            seconds(spark.wall_seconds),
            `${times(spark.wall_seconds / wall)} as long as this night${first === null ? '' : `, ${times(spark.wall_seconds / first.wall_seconds)} as the first`}; ${megabytes(spark.peak_rss_mb)}, Spark ${spark.spark}`,
          ],
        ]),
  ];
}

/** What is changed, for a report that has a change. */
export const MIXTURE_NOTE = `The change, by share: ${CHANGE_IN_WORDS}.`;
