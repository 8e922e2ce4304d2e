/** Point reads as readers make them, at a steady rate, whatever becomes of them. */

import { type RecordableHistogram, createHistogram } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import { type Connection, connect } from '../../database/connect.ts';
import { featuresOf, recommendationsFor, similarTo } from '../../database/readers.ts';

export interface ReadPlan {
  url: string;
  connections: number;
  /** By all connections together. */
  readsPerSecond: number;
  /** Users with a list and movies with neighbours: for none of them an answer may be empty. */
  users: number[];
  movies: number[];
}

export type ReadKind = 'recommendations' | 'features' | 'similar';
const KINDS: ReadKind[] = ['recommendations', 'features', 'similar'];

export interface Latencies {
  reads: number;
  p50_ms: number;
  p99_ms: number;
  p999_ms: number;
  max_ms: number;
}

export interface SlowRead {
  kind: ReadKind;
  ms: number;
  /** When it was answered, in milliseconds since the epoch. */
  at: number;
}

export interface ReadReport extends Latencies {
  errors: number;
  /** Answers without a row, or with what everybody gets where the user has a list. */
  empty: number;
  /** Answers with rows of more than one version. */
  mixed: number;
  connections: number;
  reads_per_second: number;
  kinds: Record<ReadKind, Latencies>;
  /** The first of what went wrong, in words. */
  troubles: string[];
  slowest: SlowRead[];
}

/** What an answer was found to be. */
export type Finding = 'good' | 'empty' | 'mixed';

/** So many of the slowest reads, and of the troubles, are kept. */
const KEPT = 5;
/** By so much a timer is late by itself, on a machine that has nothing else to do. */
const TIMER_MILLISECONDS = 1;
const MINUTES_10_IN_MICROSECONDS = 600_000_000;

/** What a stretch of reads came to. */
export class ReadLog {
  errors = 0;
  empty = 0;
  mixed = 0;
  readonly troubles: string[] = [];
  #slowest: SlowRead[] = [];
  readonly #all = histogram();
  readonly #kinds = { recommendations: histogram(), features: histogram(), similar: histogram() };

  answered(kind: ReadKind, milliseconds: number, finding: Finding, what: string): void {
    const microseconds = Math.max(1, Math.round(milliseconds * 1000));
    this.#all.record(microseconds);
    this.#kinds[kind].record(microseconds);
    if (finding !== 'good') {
      this[finding]++;
      this.#trouble(`${what}: ${finding}`);
    }
    if (milliseconds <= (this.#slowest[KEPT - 1]?.ms ?? 0)) return;
    this.#slowest = [...this.#slowest, { kind, ms: milliseconds, at: Date.now() }]
      .sort((a, b) => b.ms - a.ms)
      .slice(0, KEPT);
  }

  failed(what: string, error: unknown): void {
    this.errors++;
    this.#trouble(`${what}: ${error instanceof Error ? error.message : String(error)}`);
  }

  report({ connections, readsPerSecond }: Pick<ReadPlan, 'connections' | 'readsPerSecond'>): ReadReport {
    const { recommendations, features, similar } = this.#kinds;
    return {
      ...latencies(this.#all),
      errors: this.errors,
      empty: this.empty,
      mixed: this.mixed,
      connections,
      reads_per_second: readsPerSecond,
      kinds: {
        recommendations: latencies(recommendations),
        features: latencies(features),
        similar: latencies(similar),
      },
      troubles: this.troubles,
      slowest: this.#slowest,
    };
  }

  #trouble(text: string): void {
    if (this.troubles.length < KEPT) this.troubles.push(text);
  }
}

/** In microseconds, three digits of each. */
function histogram(): RecordableHistogram {
  return createHistogram({ lowest: 1, highest: MINUTES_10_IN_MICROSECONDS, figures: 3 });
}

function latencies(found: RecordableHistogram): Latencies {
  const ms = (percentile: number): number => (found.count === 0 ? 0 : found.percentile(percentile) / 1000);
  return {
    reads: found.count,
    p50_ms: ms(50),
    p99_ms: ms(99),
    p999_ms: ms(99.9),
    max_ms: found.count === 0 ? 0 : found.max / 1000,
  };
}

/**
 * Reads until `signal` aborts, and then until all is answered.
 *
 * A read is due at its time whether those before it were answered or not, and its latency counts from then: what waits
 * because its connection is busy is not left out. The timer's own millisecond is no part of it.
 */
export async function readSteadily(plan: ReadPlan, signal: AbortSignal): Promise<ReadReport> {
  const connections = await Promise.all(Array.from({ length: plan.connections }, () => openReader(plan)));
  const log = new ReadLog();
  const pending = new Set<Promise<void>>();
  const began = performance.now();
  for (let read = 0; ; read++) {
    const planned = began + (read * 1000) / plan.readsPerSecond;
    const early = planned - performance.now();
    if (early > 0) await setTimeout(early, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) break;
    const due = Math.min(performance.now(), planned + TIMER_MILLISECONDS);
    const answer = readOnce(connections[read % connections.length], plan, read, { due, log });
    pending.add(answer);
    void answer.then(() => pending.delete(answer));
  }
  await Promise.all(pending);
  await Promise.all(connections.map((connection) => connection.close()));
  return log.report(plan);
}

/** One connection, warm: it has planned each kind of read before. */
async function openReader({ url, users, movies }: ReadPlan): Promise<Connection> {
  const connection = connect({ url, applicationName: 'nightjar-bench-reader', max: 1 });
  for (const kind of KINDS) await ask(connection, kind, kind === 'similar' ? movies[0] : users[0]);
  return connection;
}

async function readOnce(
  connection: Connection,
  { users, movies, connections }: ReadPlan,
  read: number,
  { due, log }: { due: number; log: ReadLog },
): Promise<void> {
  const kind = KINDS[kindOf(read, connections)];
  const keys = kind === 'similar' ? movies : users;
  const key = keys[read % keys.length];
  const what = `${kind} of ${key}`;
  try {
    const finding = await ask(connection, kind, key);
    log.answered(kind, performance.now() - due, finding, what);
  } catch (error) {
    log.failed(what, error);
  }
}

/** Which kind a read is: every connection comes to every kind in turn. */
export function kindOf(read: number, connections: number): number {
  return ((read % connections) + Math.trunc(read / connections)) % KINDS.length;
}

async function ask(connection: Connection, kind: ReadKind, key: number): Promise<Finding> {
  if (kind === 'features') return judge((await featuresOf(connection, key)) === undefined ? [] : ['']);
  if (kind === 'similar')
    return judge((await similarTo(connection, key, 10)).map(({ model_version: version }) => version));
  const list = await recommendationsFor(connection, key, 20);
  // What everybody gets has no scores: somebody who has a list must never see it.
  return judge(list.filter((one) => one.predicted_score !== null).map((one) => one.model_version));
}

/** @param versions of the rows of an answer */
export function judge(versions: string[]): Finding {
  if (versions.length === 0) return 'empty';
  return new Set(versions).size > 1 ? 'mixed' : 'good';
}
