import { ownWorkflow } from '../support/own-workflow.ts';
import type { ActivityDependencies, RunReference } from '../support/run.ts';
import type { StageResult } from '../support/stage.ts';
import { waitingAlerts } from './alerts.ts';
import { type BeginRunInput, type BegunRun, beginRun } from './begin-run.ts';
import { closeRun } from './close-run.ts';
import {
  type Delivery,
  type DeliveryOutcome,
  type TakenAlerts,
  deliverAlert,
  giveUpDelivery,
  raiseTestAlert,
  reviveDeliveries,
  takeAlerts,
} from './deliveries.ts';
import { closeLostRuns } from './lost-runs.ts';
import { type MissedNightsInput, findMissedNights } from './missed-nights.ts';
import { dropLeftovers } from '../publishing/leftovers.ts';
import { readSelection } from '../selection/result.ts';
import type { RunFailure, RunOutcome } from './outcome.ts';
import { lookUpSchedule, ownTemporal } from './own-temporal.ts';
import { type Refusal, reportRefusal } from './refusal.ts';
import { dropUndone } from './reopening/drop-undone.ts';
import { type ReopenRunInput, type ReopenedRun, reopenRun } from './reopening/reopen-run.ts';

export type { BegunRun } from './begin-run.ts';
export type { ReopenedRun } from './reopening/reopen-run.ts';
export type { Delivery, DeliveryOutcome } from './deliveries.ts';
import { type NightPlan, type PlanNightInput, planNight } from './plan-night.ts';
import { withHeartbeat } from '../support/with-heartbeat.ts';
export type { NightPlan } from './plan-night.ts';
export type { RunFailure, RunOutcome } from './outcome.ts';

export type MonitoringActivities = ReturnType<typeof createMonitoringActivities>;

/** The run ledger, the run log, alerts and what the watchdog looks at. */
export function createMonitoringActivities(dependencies: ActivityDependencies) {
  const { connection, codeVersion, channels } = dependencies;
  return {
    /** Enters a run in the ledger, or finds the one that the as-of has. */
    beginRun: (input: BeginRunInput): Promise<BegunRun> =>
      beginRun(connection, ownTemporal, codeVersion, input),

    /** Makes a run that ended without success live again, and undoes its stages from one on. */
    reopenRun: (input: ReopenRunInput): Promise<ReopenedRun> =>
      // Not to be stopped half-way by a cancellation: the night that it begins can be.
      withHeartbeat(() => reopenRun(connection, ownTemporal, codeVersion, input)),
    /** Drops what the undone stages of a re-opened run have left. */
    dropUndone: (input: RunReference): Promise<StageResult> =>
      withHeartbeat(({ signal }) => dropUndone(connection, input, signal)),

    /** Raises the alert of a night that has no row in the ledger. */
    reportRefusal: (input: Refusal) => reportRefusal(connection, input),

    /** Looks what a night that started now would do. */
    planNight: (input: PlanNightInput): Promise<NightPlan> =>
      withHeartbeat(({ signal }) => planNight(dependencies, input, signal)),

    /** Ends a night that came to its end: published, or blocked by its own decision. */
    async finishRun({ run }: RunReference): Promise<RunOutcome> {
      const { decision, reason } = await readSelection(connection.db, run);
      const status = decision === 'blocked' ? 'blocked' : 'success';
      return closeRun(connection, run, { status, reason }, ownWorkflow());
    },

    /** Ends a night that failed or was cancelled. What a cancelled one has made so far goes at once. */
    async failRun({ run, ...failure }: RunReference & RunFailure): Promise<RunOutcome> {
      const outcome = await closeRun(connection, run, failure, ownWorkflow());
      if (outcome.status === 'cancelled') await dropLeftovers(connection, run);
      return outcome;
    },

    takeAlerts: (input: { workflowId: string }): Promise<TakenAlerts> =>
      takeAlerts(connection, channels, input),
    raiseTestAlert: (input: { workflowId: string; database?: string }): Promise<TakenAlerts> =>
      raiseTestAlert(connection, channels, input),
    deliverAlert: (input: Delivery): Promise<DeliveryOutcome> => deliverAlert(connection, channels, input),
    giveUpDelivery: (input: Delivery): Promise<DeliveryOutcome> => giveUpDelivery(connection, input),

    closeLostRuns: () => closeLostRuns(connection, ownTemporal),
    findMissedNights: (input: MissedNightsInput) =>
      findMissedNights(connection, { isOpen: ownTemporal.isOpen, lookUpSchedule }, input),
    /** Frees what a closed workflow was to deliver, and says how much waits for a delivery now. */
    async reviveDeliveries(): Promise<{ rows: number; alertsWaiting: number }> {
      const { rows } = await reviveDeliveries(connection, ownTemporal);
      return { rows, alertsWaiting: await waitingAlerts(connection.db) };
    },
  };
}
