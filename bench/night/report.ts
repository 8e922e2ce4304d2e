/** What `npm run bench -- night` finds, as it prints it in JSON. */

import type { CpuInfo } from 'node:os';
import type { Change } from './change.ts';
import type { StageFigures, TableSize, TimedStage } from './database-figures.ts';
import type { ServerMemory } from './memory.ts';
import type { ReadReport, SlowRead } from './reads.ts';
import type { SparkNight } from './spark.ts';
import type { Yardstick } from './yardstick.ts';

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
  /** Of all processes of the night: worker, both servers, readers, the bench itself. */
  processor_seconds: number | null;
  /** Share of the processors' time that went to others, 0 to 1: beyond some hundredths no figure holds. */
  others_share: number | null;
  stages: StageFigures[];
  reads: NightReads | null;
}

export interface NightReads extends Omit<ReadReport, 'slowest'> {
  slowest: (Omit<SlowRead, 'at'> & { stages: string[] })[];
}

export interface Machine {
  processor: string;
  processors: number;
  memory_gb: number;
  node: string;
  postgres: string;
  /** Of the last minute, before the first night. */
  load_before: number;
}

export interface NightReport extends NightFigures {
  profile: string;
  /** What was done to the source before the night that is reported; null where nothing was. */
  change: Change | null;
  /** The night before it, where there was one. */
  first_night: NightFigures | null;
  /** Where both a change and reads were asked for, the night after it, after another change: `reads` are those of this one. */
  read_night: NightFigures | null;
  tables: TableSize[];
  yardstick: Yardstick;
  spark: SparkNight | null;
  machine: Machine;
}

/** Beside each of the slowest reads the stages that were under way when it was answered. */
export function nameSlowReads(
  { slowest, ...reads }: ReadReport,
  stages: readonly Pick<TimedStage, 'name' | 'started_at' | 'finished_at'>[],
): NightReads {
  return {
    ...reads,
    slowest: slowest.map(({ kind, ms, at }) => ({
      kind,
      ms,
      stages: stages
        .filter((stage) => stage.started_at.getTime() <= at && at - ms <= stage.finished_at.getTime())
        .map(({ name }) => name),
    })),
  };
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
