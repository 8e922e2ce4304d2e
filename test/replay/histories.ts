/** The recorded histories: one file each, `<workflow>.<case>.json`, in the JSON that Temporal's tools share. */

import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { WorkflowClient } from '@temporalio/client';
import { historyToJson } from './history-json.ts';

const DIRECTORY = fileURLToPath(new URL('./histories', import.meta.url));

/** Stands for whoever took part: identities are process numbers and host names. */
const IDENTITY = 'nightjar-recorder';

export interface RecordedHistory {
  /** Name of the file, e.g. `nightlyPipeline.first.json`. */
  file: string;
  workflowType: string;
  /** Part of the history: the ids of children are made from it. */
  workflowId: string;
  /** What a replay worker takes. */
  history: { events: Event[] };
}

interface Event {
  workflowExecutionStartedEventAttributes?: { workflowId: string; workflowType: { name: string } };
  childWorkflowExecutionStartedEventAttributes?: { workflowExecution: { workflowId: string; runId: string } };
}

/** Every recorded history, in the order of the files' names. */
export function readHistories(directory = DIRECTORY): RecordedHistory[] {
  return readdirSync(directory)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => {
      const history = JSON.parse(readFileSync(join(directory, file), 'utf8')) as { events: Event[] };
      return { file, history, ...startedAs(history) };
    });
}

function startedAs({ events }: { events: Event[] }): Pick<RecordedHistory, 'workflowType' | 'workflowId'> {
  const started = events.at(0)?.workflowExecutionStartedEventAttributes;
  if (started === undefined) throw new Error('not a history: it does not begin with the start of a workflow');
  return { workflowType: started.workflowType.name, workflowId: started.workflowId };
}

/** Writes one history, or keeps the file that there is. */
export function writeHistory(
  history: RecordedHistory,
  options: { overwrite: boolean; directory?: string },
): 'wrote' | 'overwrote' | 'kept' {
  const { overwrite, directory = DIRECTORY } = options;
  const path = join(directory, history.file);
  const exists = existsSync(path);
  if (exists && !overwrite) return 'kept';
  mkdirSync(directory, { recursive: true });
  // An event a line: small, and a difference between two recordings can be read.
  const lines = history.history.events.map((event) => JSON.stringify(event));
  writeFileSync(path, `{"events":[\n${lines.join(',\n')}\n]}\n`);
  return exists ? 'overwrote' : 'wrote';
}

/**
 * Fetches the history of a run and those of its children, named by workflow and case. A second child of the same
 * workflow has a number behind the case.
 */
export async function fetchHistories(
  client: WorkflowClient,
  run: { workflowId: string; runId?: string },
  name: string,
): Promise<RecordedHistory[]> {
  const found: RecordedHistory[] = [];
  const fetch = async ({ workflowId, runId }: { workflowId: string; runId?: string }): Promise<void> => {
    const json = historyToJson(await client.getHandle(workflowId, runId).fetchHistory());
    const history = withoutMachine(json);
    const { workflowType } = startedAs(history);
    const same = found.filter((one) => one.workflowType === workflowType).length;
    const file = `${workflowType}.${name}${same === 0 ? '' : `-${same + 1}`}.json`;
    found.push({ file, workflowType, workflowId, history });
    for (const { childWorkflowExecutionStartedEventAttributes: child } of history.events)
      if (child !== undefined) await fetch(child.workflowExecution);
  };
  await fetch(run);
  return found;
}

/** Without stack traces and names of hosts, which no replay looks at. */
function withoutMachine(history: unknown): { events: Event[] } {
  const identities = new Set<string>();
  const text = JSON.stringify(history, (key, value: unknown) => {
    if (key === 'identity' && typeof value === 'string' && value !== '') identities.add(value);
    return key === 'stackTrace' ? undefined : value;
  });
  // Everywhere: the name of a worker's sticky queue begins with its identity.
  return JSON.parse(text, (_key, value: unknown) =>
    typeof value === 'string'
      ? [...identities].reduce((clean, identity) => clean.replaceAll(identity, IDENTITY), value)
      : value,
  ) as { events: Event[] };
}
