import type proto from '@temporalio/proto';
import { expect, test } from 'vitest';
import { timesOf } from './execution-times.ts';

type HistoryEvent = proto.temporal.api.history.v1.IHistoryEvent;
const id = (value: number) => value as never;

/** An event at so many seconds. */
function event(eventId: number, seconds: number, attributes: Partial<HistoryEvent>): HistoryEvent {
  const nanos = Math.round((seconds % 1) * 1e9);
  return { eventId: id(eventId), eventTime: { seconds: id(Math.trunc(seconds)), nanos }, ...attributes };
}

const night: HistoryEvent[] = [
  event(1, 100, { workflowExecutionStartedEventAttributes: {} }),
  event(2, 100.1, { activityTaskScheduledEventAttributes: {} }),
  event(3, 100.1, { activityTaskScheduledEventAttributes: {} }),
  event(4, 100.1, { startChildWorkflowExecutionInitiatedEventAttributes: {} }),
  event(5, 100.3, {
    childWorkflowExecutionStartedEventAttributes: { workflowExecution: { workflowId: 'child', runId: 'c' } },
  }),
  // Written when the activity ends, with the time of its start.
  event(6, 100.2, { activityTaskStartedEventAttributes: { scheduledEventId: id(2), attempt: 3 } }),
  event(7, 101.5, { activityTaskCompletedEventAttributes: { startedEventId: id(6) } }),
  event(8, 100.4, { activityTaskStartedEventAttributes: { scheduledEventId: id(3), attempt: 1 } }),
  event(9, 102, { activityTaskFailedEventAttributes: { startedEventId: id(8) } }),
];

test('activities from start to end whatever they came to, attempts before the last, children', () => {
  const end = event(10, 103.25, { workflowExecutionCompletedEventAttributes: {} });
  expect(timesOf([...night, end])).toEqual({
    whole: { from: 100_000, to: 103_250 },
    activities: [
      { from: 100_200, to: 101_500 },
      { from: 100_400, to: 102_000 },
    ],
    retries: 2,
    children: [{ workflowId: 'child', runId: 'c' }],
  });
});

test('one that has not ended has no whole', () => {
  expect(timesOf(night).whole).toBeNull();
});
