import { Context, getClient } from '@temporalio/activity';
import { ScheduleNotFoundError, type ScheduleDescription, WorkflowNotFoundError } from '@temporalio/client';

/** The Temporal service that runs us. */
export interface OwnTemporal {
  /** Id of the namespace: a name may mean another one elsewhere. */
  namespaceId: () => Promise<string>;
  /** Says whether a workflow is still open; with `executionId`, that run of it, which a reset keeps. */
  isOpen: (owner: { workflowId: string; executionId?: string }) => Promise<boolean>;
}

/** A schedule as the watchdog looks at it. */
export interface WatchedSchedule {
  paused: boolean;
  /** When it was created or its times were changed last: before that it had other times. */
  since: Date;
  jitterMilliseconds: number;
  /** Times at which it was to start a workflow, between two instants; each late by its jitter. */
  times: (from: Date, to: Date) => Promise<Date[]>;
  /** Nominal times of its last starts, with the workflows that they gave. */
  starts: { nominal: Date; workflowId: string }[];
}

/** A schedule by its id; null where there is none. */
export type LookUpSchedule = (id: string) => Promise<WatchedSchedule | null>;

/** Temporal as the worker's own client knows it. */
export const ownTemporal: OwnTemporal = {
  async namespaceId() {
    const { workflowService } = getClient().connection;
    const { namespaceInfo } = await workflowService.describeNamespace({ namespace: ownNamespace() });
    return namespaceInfo?.id ?? '';
  },
  async isOpen({ workflowId, executionId }) {
    try {
      const { status, raw } = await getClient().workflow.getHandle(workflowId).describe();
      const isIt = executionId === undefined || raw.workflowExecutionInfo?.firstRunId === executionId;
      return status.name === 'RUNNING' && isIt;
    } catch (error) {
      // Unknown to the server: its retention has passed.
      if (error instanceof WorkflowNotFoundError) return false;
      throw error;
    }
  },
};

export const lookUpSchedule: LookUpSchedule = async (id) => {
  const description = await describe(id);
  if (description === null) return null;
  const { state, spec, info } = description;
  return {
    paused: state.paused,
    since: info.lastUpdatedAt ?? info.createdAt,
    jitterMilliseconds: spec.jitter ?? 0,
    times: (from, to) => matchingTimes(id, from, to),
    starts: info.recentActions.map(({ scheduledAt, action }) => ({
      nominal: scheduledAt,
      workflowId: action.workflow.workflowId,
    })),
  };
};

async function describe(id: string): Promise<ScheduleDescription | null> {
  try {
    return await getClient().schedule.getHandle(id).describe();
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return null;
    throw error;
  }
}

async function matchingTimes(scheduleId: string, from: Date, to: Date): Promise<Date[]> {
  const timestamp = (instant: Date) => ({ seconds: Math.floor(instant.getTime() / 1000) as never });
  const { startTime } = await getClient().connection.workflowService.listScheduleMatchingTimes({
    namespace: ownNamespace(),
    scheduleId,
    startTime: timestamp(from),
    endTime: timestamp(to),
  });
  return startTime.map(({ seconds }) => new Date(Number(seconds) * 1000));
}

function ownNamespace(): string {
  return Context.current().info.namespace;
}
