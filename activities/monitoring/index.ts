import { Context, getClient } from '@temporalio/activity';
import { WorkflowNotFoundError } from '@temporalio/client';
import type { ActivityDependencies, RunReference } from '../support/run.ts';
import { type BeginRunInput, type BegunRun, type OwnTemporal, beginRun } from './begin-run.ts';
import { closeRun } from './close-run.ts';
import { dropLeftovers } from '../publishing/leftovers.ts';
import { readSelection } from '../selection/result.ts';
import type { RunFailure, RunOutcome } from './outcome.ts';
import { type NightPlan, type PlanNightInput, planNight } from './plan-night.ts';
import { withHeartbeat } from '../support/with-heartbeat.ts';

export type { BegunRun } from './begin-run.ts';
export type { NightPlan } from './plan-night.ts';
export type { RunFailure, RunOutcome } from './outcome.ts';

export type MonitoringActivities = ReturnType<typeof createMonitoringActivities>;

/** The run ledger, the run log and alerts. */
export function createMonitoringActivities(dependencies: ActivityDependencies) {
  const { connection, codeVersion } = dependencies;
  return {
    /** Enters a run in the ledger, or finds the one that the as-of has. */
    beginRun: (input: BeginRunInput): Promise<BegunRun> => beginRun(connection, temporal, codeVersion, input),

    /** Looks what a night that started now would do. */
    planNight: (input: PlanNightInput): Promise<NightPlan> =>
      withHeartbeat(({ signal }) => planNight(dependencies, input, signal)),

    /** Ends a night that came to its end: published, or blocked by its own decision. */
    async finishRun({ run }: RunReference): Promise<RunOutcome> {
      const { decision, reason } = await readSelection(connection.db, run);
      return closeRun(connection, run, { status: decision === 'blocked' ? 'blocked' : 'success', reason });
    },

    /** Ends a night that failed or was cancelled. What a cancelled one has made so far goes at once. */
    async failRun({ run, ...failure }: RunReference & RunFailure): Promise<RunOutcome> {
      const outcome = await closeRun(connection, run, failure);
      if (outcome.status === 'cancelled') await dropLeftovers(connection, run);
      return outcome;
    },
  };
}

/** Temporal as the worker's own client knows it. */
const temporal: OwnTemporal = {
  async namespaceId() {
    const { workflowService } = getClient().connection;
    const { namespaceInfo } = await workflowService.describeNamespace({
      namespace: Context.current().info.namespace,
    });
    return namespaceInfo?.id ?? '';
  },
  async isOpen({ workflowId, executionId }) {
    try {
      const { status, raw } = await getClient().workflow.getHandle(workflowId).describe();
      return status.name === 'RUNNING' && raw.workflowExecutionInfo?.firstRunId === executionId;
    } catch (error) {
      // Unknown to the server: its retention has passed.
      if (error instanceof WorkflowNotFoundError) return false;
      throw error;
    }
  },
};
