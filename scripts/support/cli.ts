/** What every command shares: the same words for the same options, one clear line for bad input. */

import { createRequire } from 'node:module';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { loadDotEnv } from '../../config/dot-env.ts';

/** A command whose `--help` ends with examples. */
export function createCommand(name: string, summary: string, examples: string[] = []): Command {
  const command = new Command(name).description(summary).exitOverride().showHelpAfterError(false);
  command.configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, `${name}: `)) });
  if (examples.length > 0) {
    command.addHelpText('after', `\nExamples:\n${examples.map((example) => `  ${example}`).join('\n')}`);
  }
  return command;
}

/** The options that mean the same everywhere. */
export const options = {
  json: () => new Option('--json', 'one JSON value on standard output, nothing else'),
  asOf: () =>
    new Option('--as-of <instant>', 'logical instant of the run, ISO 8601; now by default').argParser(
      parseAsOf,
    ),
  profile: (byDefault: string) => new Option('--profile <name>', 'named set of defaults').default(byDefault),
  scheduleId: (byDefault: string) => new Option('--id <schedule>', 'which schedule').default(byDefault),
  wait: () => new Option('--wait', 'follow the workflow to its end').default(true),
  noWait: () => new Option('--no-wait', 'return at once'),
  set: () =>
    new Option('--set <section.key=value>', 'override one setting of the profile; may be repeated')
      .argParser((value: string, before: string[]) => [...before, value])
      .default([] as string[], 'none'),
  full: () => new Option('--full', 'read the whole source and build everything anew, whatever has changed'),
};

/** What `--full` overrides, beside what was set. */
export function withFull({ set, full }: { set: string[]; full?: boolean }): string[] {
  return full === true ? [...set, 'ingestion.rebuild=true'] : set;
}

/** Runs a command line; the process ends with 0 on success, 2 on bad input, else 1. */
export async function run(command: Command): Promise<void> {
  loadDotEnv();
  try {
    await command.parseAsync();
    process.exit(process.exitCode ?? 0);
  } catch (error) {
    process.exit(explain(error, command.name()));
  }
}

function explain(error: unknown, name: string): number {
  // Commander has said its line already; help asked for is no error.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  // Only now, and at once: Temporal's client takes 40 MB that a command without servers does not need.
  const failures = createRequire(import.meta.url)('./failures.ts') as typeof import('./failures.ts');
  const cause = failures.rootCause(error);
  console.error(process.env.NIGHTJAR_DEBUG === '1' ? error : `${name}: ${failures.messageOf(cause)}`);
  return failures.isBadInput(cause) ? 2 : 1;
}

const INSTANT = /^(\d{4}-\d{2}-\d{2})(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2})?)?$/;

/** An ISO instant or day, as the canonical text of its instant; a day is its midnight UTC. */
export function parseInstant(text: string): string {
  const match = INSTANT.exec(text);
  // A day that there is not, such as 31 November, would be taken for one of the next month.
  const midnight = new Date(`${match?.[1]}T00:00Z`);
  const isDay = !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(String(match?.[1]));
  if (match === null || !isDay || Number.isNaN(Date.parse(text)))
    throw new InvalidArgumentError('expected an ISO instant such as 2026-11-24T02:00:00Z');
  if (match[2] && !match[5]) throw new InvalidArgumentError('expected a zone: end it with Z for UTC');
  return new Date(text).toISOString();
}

/** An as-of: an instant that has come. */
export function parseAsOf(text: string): string {
  const instant = parseInstant(text);
  if (Date.parse(instant) > Date.now()) throw new InvalidArgumentError('expected an instant that has come');
  return instant;
}

/** A whole number within bounds. */
export function integer(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^-?\d+$/.test(text) || value < least || value > most) {
      throw new InvalidArgumentError(
        `expected a whole number from ${least}${most === Number.MAX_SAFE_INTEGER ? '' : ` to ${most}`}`,
      );
    }
    return value;
  };
}

/** A number above zero. */
export function positive(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0)
    throw new InvalidArgumentError('expected a number above 0');
  return value;
}

/** One of several names. */
export function oneOf<Name extends string>(names: readonly Name[]): (text: string) => Name {
  return (text) => {
    const name = names.find((one) => one === text);
    if (name === undefined) throw new InvalidArgumentError(`expected ${names.join(', ')}`);
    return name;
  };
}

/** Values that differ, separated by commas. */
export function list<Value>(value: (text: string) => Value): (text: string) => Value[] {
  return (text) => {
    const values = text.split(',').map((one) => value(one.trim()));
    if (new Set(values).size < values.length) throw new InvalidArgumentError('expected values that differ');
    return values;
  };
}
