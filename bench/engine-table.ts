import type { EngineReport } from './engine.ts';

/** The report for people: what was measured, its value, and what it stands beside. */
export function engineTable(report: EngineReport): { head: string[]; rows: string[][] } {
  const { ratings, users, movies, rank, threads, iterations, plain_step: step } = report;
  const times = (value: number): string => `${(value / report.iteration_seconds).toFixed(1)} times as long`;
  const seconds = (value: number): string => `${value.toFixed(value < 10 ? 3 : 1)} s`;
  const count = (value: number): string => value.toLocaleString('en');
  const share = ((100 * report.gflops) / report.multiply_add_gflops).toFixed(0);
  const solved = step === 1 ? 'a whole iteration' : `one row in ${step}, scaled up`;
  return {
    head: [`${count(ratings)} ratings, ${count(users)} users, ${count(movies)} movies`, '', 'beside it'],
    rows: [
      [
        `ALS rank ${rank}, threads ${threads}: an iteration`,
        seconds(report.iteration_seconds),
        `plain TypeScript, one thread, ${solved}: ${seconds(report.plain_iteration_seconds)}, ${times(report.plain_iteration_seconds)}`,
      ],
      [
        '  useful arithmetic',
        `${report.gflops.toFixed(1)} GFLOP/s`,
        `${share}% of what f32x4 multiply and add reach here: ${report.multiply_add_gflops.toFixed(1)} GFLOP/s`,
      ],
      ['  all iterations', seconds(report.train_seconds), iterations.map((one) => one.toFixed(3)).join(' ')],
      [
        "  event loop's delay",
        `${report.event_loop_delay_max_ms.toFixed(1)} ms`,
        `99th percentile ${report.event_loop_delay_p99_ms.toFixed(1)} ms`,
      ],
      ['  abort to the end', seconds(report.cancel_seconds), ''],
      [
        'rating matrix',
        seconds(report.build_seconds),
        `ratings generated in ${seconds(report.generate_seconds)}`,
      ],
      ['top 20 for all users', seconds(report.topn_seconds), 'rated movies left out, no floor'],
      ['10 similar movies for all', seconds(report.similar_seconds), 'no floor'],
      ['peak resident memory', `${report.peak_rss_mb.toFixed(0)} MB`, 'this process, all of the above'],
    ],
  };
}

/** What GFLOP/s counts. */
export const ARITHMETIC =
  'GFLOP/s: two operations a multiply-add; K(K+1)/2 + K of them per rating and side, K³/6 + K² per row.';
