import { InvalidArgumentError } from 'commander';
import { UsageError } from '../../config/settings.ts';
import { type DescribedRun, describeRun, differingSettings } from '../../database/compare-runs.ts';
import type { Db } from '../../database/connect.ts';
import { createCommand, integer, options } from '../support/cli.ts';
import { withDatabase } from '../support/database.ts';
import { print } from '../support/night.ts';
import { metric, table } from '../support/table.ts';

const METRICS = [
  'rmse',
  'mae',
  'precision_at_10',
  'recall_at_10',
  'ndcg_at_10',
  'map_at_10',
  'coverage',
] as const;

type Cell = string | number | null | undefined;

async function describe(db: Db, run: number): Promise<DescribedRun> {
  const described = await describeRun(db, run);
  if (described === undefined)
    throw new UsageError(`run ${run}: there is no such run; npm run pipeline -- status`);
  return described;
}

/** Names of both in the order of the first, then what only the second has. */
function names<Row>(of: (run: DescribedRun) => Row[], name: (row: Row) => string, pair: DescribedRun[]) {
  return [...new Set(pair.flatMap((run) => of(run).map(name)))];
}

function change(a: number | null | undefined, b: number | null | undefined, digits: number): Cell {
  if (typeof a !== 'number' || typeof b !== 'number') return '';
  return `${b >= a ? '+' : ''}${(b - a).toFixed(digits)}`;
}

function cell(value: Date | Cell | boolean): Cell {
  if (value === undefined || value === null) return '';
  if (value instanceof Date) return value.toISOString();
  return typeof value === 'number' ? value.toLocaleString('en') : String(value);
}

function section(title: string, head: string[], rows: Cell[][]): void {
  if (rows.length > 0) console.log(`${title}\n${table(head, rows)}\n`);
}

function show(a: DescribedRun, b: DescribedRun): void {
  const pair = [a, b];
  const heads = pair.map(({ run }) => `run ${run}`);
  const runRow = (name: string, of: (run: DescribedRun) => Date | Cell | boolean): Cell[] => [
    name,
    ...pair.map((run) => cell(of(run))),
  ];
  section(
    'run',
    ['', ...heads],
    [
      runRow('as-of', ({ as_of }) => as_of),
      runRow('status', ({ status }) => status),
      runRow('published', ({ published }) => published),
      runRow('seconds', ({ duration_seconds }) => duration_seconds?.toFixed(1)),
      runRow('code', ({ code_version }) => code_version),
      runRow('profile', ({ profile }) => profile),
    ],
  );
  section(
    'settings that differ',
    ['', ...heads],
    differingSettings(a.settings, b.settings).map((one) => [
      one.setting,
      JSON.stringify(one.a),
      JSON.stringify(one.b),
    ]),
  );
  const data = (run: DescribedRun) => run.data as Record<string, Date | number | null>;
  section(
    'data',
    ['', ...heads, 'change'],
    [...new Set(pair.flatMap((run) => Object.keys(data(run))))].map((name) => {
      const [x, y] = pair.map((run) => data(run)[name]);
      const moved = typeof x === 'number' && typeof y === 'number' ? change(x, y, 0) : '';
      return [name, cell(x), cell(y), moved];
    }),
  );
  section(
    'gates',
    ['', ...heads, 'observed', 'observed'],
    names(
      (run) => run.gates,
      (gate) => gate.check_name,
      pair,
    ).map((name) => {
      const found = pair.map((run) => run.gates.find((gate) => gate.check_name === name));
      return [name, ...found.map((gate) => gate?.status), ...found.map((gate) => cell(gate?.observed))];
    }),
  );
  section(
    'twins',
    ['', 'metric', ...heads, 'change'],
    names(
      (run) => run.twins,
      (twin) => twin.configuration,
      pair,
    ).flatMap((name) => {
      const [x, y] = pair.map((run) => run.twins.find((twin) => twin.configuration === name));
      return METRICS.map((one, at) => [
        at === 0 ? name : '',
        one,
        ...[x, y].map((twin) => (twin === undefined ? '' : metric(twin[one]))),
        change(x?.[one], y?.[one], 4),
      ]);
    }),
  );
  for (const run of pair) {
    const { decision, reason } = run;
    console.log(
      `run ${run.run}: ${decision === undefined ? (reason ?? 'it is live') : `${decision.decision}: ${decision.reason}`}`,
    );
  }
  console.log();
  section(
    'seconds',
    ['', ...heads, 'change'],
    names(
      (run) => run.stages,
      ({ stage }) => stage,
      pair,
    ).map((name) => {
      const [x, y] = pair.map((run) => run.stages.find(({ stage }) => stage === name)?.seconds);
      return [name, x?.toFixed(1), y?.toFixed(1), change(x, y, 1)];
    }),
  );
}

/** @throws as commander expects it where it is no number of a run */
function runNumber(text: string): number {
  try {
    return integer(1, 2_147_483_647)(text);
  } catch {
    throw new InvalidArgumentError('expected the number of a run, as npm run pipeline -- status shows it');
  }
}

export const compareCommand = createCommand(
  'compare',
  'Hold two runs side by side: data, gates, metrics of every twin, decision, seconds of each stage.',
  ['npm run pipeline -- compare 41 42', 'npm run pipeline -- compare 41 42 --json'],
)
  .argument('<run>', 'one run', runNumber)
  .argument('<other>', 'the other', runNumber)
  .addOption(options.json())
  .action((one: number, other: number, { json = false }: { json?: boolean }) =>
    withDatabase(async ({ db }) => {
      const [a, b] = [await describe(db, one), await describe(db, other)];
      if (json) print({ runs: [a, b], settings: differingSettings(a.settings, b.settings) });
      else show(a, b);
    }),
  );
