/** When a workflow and its activities ran, by the server's own clock: the histories say it. */

import type { Client } from '@temporalio/client';
import type proto from '@temporalio/proto';
import type { Interval } from './busy-time.ts';

type HistoryEvent = proto.temporal.api.history.v1.IHistoryEvent;

export interface ExecutionTimes {
  /** From the start of the workflow to its end. */
  whole: Interval;
  /** Of the workflow and its children: from the start of the attempt that ended the activity to that end. */
  activities: Interval[];
  /** Attempts that had another one after them: their time is in no interval, and counts as orchestration. */
  retries: number;
  children: number;
}

/**
 * Reads the histories of a closed workflow and of its children.
 * @throws where it is still open
 */
export async function readExecutionTimes(
  client: Client,
  { workflowId, runId }: { workflowId: string; runId?: string },
): Promise<ExecutionTimes> {
  const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
  if (!events || events.length === 0) throw new Error(`${workflowId}: the server has no history of it`);
  const own = timesOf(events);
  if (own.whole === null) throw new Error(`${workflowId} has not ended yet`);
  const children = await Promise.all(own.children.map((child) => readExecutionTimes(client, child)));
  return {
    whole: own.whole,
    activities: [...own.activities, ...children.flatMap(({ activities }) => activities)],
    retries: children.reduce((sum, { retries }) => sum + retries, own.retries),
    children: children.reduce((sum, child) => sum + child.children, children.length),
  };
}

/** What one history says by itself; `whole` is null where the workflow has not ended. */
export function timesOf(events: readonly HistoryEvent[]): {
  whole: Interval | null;
  activities: Interval[];
  retries: number;
  children: { workflowId: string; runId?: string }[];
} {
  const started = new Map<string, number>();
  const activities: Interval[] = [];
  const children: { workflowId: string; runId?: string }[] = [];
  let retries = 0;
  let end: number | null = null;
  for (const event of events) {
    const attempt = event.activityTaskStartedEventAttributes;
    if (attempt) {
      started.set(String(event.eventId), instant(event));
      retries += Math.max(0, (attempt.attempt ?? 1) - 1);
    }
    const ended =
      event.activityTaskCompletedEventAttributes ??
      event.activityTaskFailedEventAttributes ??
      event.activityTaskTimedOutEventAttributes ??
      event.activityTaskCanceledEventAttributes;
    const from = started.get(String(ended?.startedEventId));
    if (from !== undefined) activities.push({ from, to: instant(event) });
    const child = event.childWorkflowExecutionStartedEventAttributes?.workflowExecution;
    if (child?.workflowId) children.push({ workflowId: child.workflowId, runId: child.runId ?? undefined });
    if (endOf(event)) end = instant(event);
  }
  const whole = end === null ? null : { from: instant(events[0]), to: end };
  return { whole, activities, retries, children };
}

function endOf(event: HistoryEvent): boolean {
  return Boolean(
    event.workflowExecutionCompletedEventAttributes ??
    event.workflowExecutionFailedEventAttributes ??
    event.workflowExecutionTimedOutEventAttributes ??
    event.workflowExecutionCanceledEventAttributes ??
    event.workflowExecutionTerminatedEventAttributes,
  );
}

function instant({ eventTime }: HistoryEvent): number {
  return Number(eventTime?.seconds ?? 0) * 1000 + (eventTime?.nanos ?? 0) / 1e6;
}
