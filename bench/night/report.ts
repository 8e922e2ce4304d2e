import { type CpuInfo } from 'node:os';
import type { StageFigures, TableSize } from './database-figures.ts';
import type { ServerMemory } from './memory.ts';

/** One night as measured. */
export interface NightFigures {
  /** Ratings in the source when it began. */
  ratings: number;
  /** From the start of the workflow to its end, published and logged, by the Temporal server's clock. */
  wall_seconds: number;
  /** Of these, those in which no activity ran, here or in a child. */
  orchestration_seconds: number;
  activities: number;
  /** Peak of resident memory of the worker's process in that time; null where the system does not tell. */
  worker_peak_rss_mb: number | null;
  postgres_memory: ServerMemory | null;
  stages: StageFigures[];
}

export interface Machine {
  processor: string;
  processors: number;
  memory_gb: number;
  node: string;
  postgres: string;
  /** Of the last minute, before the first night: others at work make every figure void. */
  load_before: number;
}

export interface NightReport extends NightFigures {
  profile: string;
  tables: TableSize[];
  machine: Machine;
}

/** The machine in words that a reader can compare. */
export function describeMachine(
  cpus: readonly CpuInfo[],
  memoryBytes: number,
  load: number,
  versions: Pick<Machine, 'node' | 'postgres'>,
): Machine {
  return {
    processor: cpus[0]?.model.trim() ?? 'unknown',
    processors: cpus.length,
    memory_gb: Math.round(memoryBytes / 2 ** 30),
    ...versions,
    load_before: load,
  };
}

const count = (value: number): string => Math.round(value).toLocaleString('en');
const seconds = (value: number): string => value.toFixed(2);
const megabytes = (value: number | null): string => (value === null ? 'not known' : `${count(value)} MB`);

/** A stage a row: name, seconds, rows, rows a second. */
export function stageTable({ stages }: Pick<NightFigures, 'stages'>): { head: string[]; rows: string[][] } {
  return {
    head: ['stage', 's', 'rows', 'rows/s'],
    rows: stages.map(({ name, seconds: took, rows }) => [
      name,
      seconds(took),
      count(rows),
      took > 0 ? count(rows / took) : '',
    ]),
  };
}

/** The night as a whole, a figure a row. */
export function nightTable(report: NightReport): { head: string[]; rows: string[][] } {
  const { postgres_memory: postgres, machine } = report;
  return {
    head: [`${count(report.ratings)} ratings, profile ${report.profile}`, '', ''],
    rows: [
      ['wall', `${seconds(report.wall_seconds)} s`, 'from workflow start to published and logged'],
      [
        'orchestration',
        `${seconds(report.orchestration_seconds)} s`,
        `no activity running; ${report.activities} activities`,
      ],
      ['worker, peak resident', megabytes(report.worker_peak_rss_mb), 'its process, in this night'],
      [
        'PostgreSQL, peak resident',
        megabytes(postgres?.peak_mb ?? null),
        postgres === null
          ? ''
          : `${megabytes(postgres.private_mb)} private of all processes and ${megabytes(postgres.shared_mb)} shared, sampled`,
      ],
      [
        'tables',
        megabytes(report.tables.reduce((sum, { mb }) => sum + mb, 0)),
        report.tables
          .slice(0, 6)
          .map(({ name, mb }) => `${name} ${count(mb)}`)
          .join(', '),
      ],
      [
        'machine',
        `${machine.processors} processors`,
        `${machine.processor}, ${machine.memory_gb} GB, Node ${machine.node}, PostgreSQL ${machine.postgres}, load before ${machine.load_before.toFixed(2)}`,
      ],
    ],
  };
}
