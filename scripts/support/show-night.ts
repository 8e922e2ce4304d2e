import pc from 'picocolors';
import { anyUser, recommendationsFor } from '../../database/readers.ts';
import type { NightlyResult } from '../../workflows/contracts.ts';
import { withConnection } from './database.ts';
import { metric, table } from './table.ts';
import type { Servers } from '../../stack/index.ts';

export interface FoundNight extends NightlyResult {
  database_url: string;
  ui_url: string | null;
}

/** Where the run is in the Temporal UI; null where no UI is known. */
export function runUrl(servers: Servers, workflowId: string, runId: string): string | null {
  if (servers.uiUrl === null) return null;
  const namespace = encodeURIComponent(servers.temporalNamespace);
  return `${servers.uiUrl}/namespaces/${namespace}/workflows/${encodeURIComponent(workflowId)}/${runId}/history`;
}

/** Prints what a night came to: the decision, its numbers, one user's list, and where to look further. */
export async function showNight(night: FoundNight, databaseUrl: string, stackEnds: boolean): Promise<void> {
  const say = (line = ''): void => void process.stdout.write(`${line}\n`);
  const { green, red, yellow } = pc.createColors(process.stdout.isTTY);
  say();
  say(`${night.status === 'success' ? green('success') : red(night.status)}: ${night.reason}`);
  say(
    night.rmse === null
      ? `run ${night.run}, as-of ${night.as_of}: it came to no metrics`
      : `run ${night.run}, as-of ${night.as_of}: RMSE ${metric(night.rmse)}, MAE ${metric(night.mae)}, Precision@10 ${metric(night.precision_at_10)} on the holdout`,
  );
  for (const alert of night.alerts) say(yellow(`alert: ${alert}`));
  if (night.published) {
    say(`published: ${night.model_version ?? ''}`);
    await showOneUser(databaseUrl, say);
  }
  say();
  say(`database: ${night.database_url}`);
  say('npm run recommend -- --user 42      a user’s list');
  say('npm run similar -- --movie 1        a movie’s neighbours');
  if (stackEnds) say('npm run stack                       servers, worker and UI until Ctrl-C; then open');
  if (night.ui_url !== null) say(`${stackEnds ? '  ' : 'in the Temporal UI: '}${night.ui_url}`);
}

function showOneUser(url: string, say: (line?: string) => void): Promise<void> {
  return withConnection(url, async (connection) => {
    const user = await anyUser(connection.db);
    if (user === null) return;
    say();
    say(`recommended to user ${user}`);
    const list = await recommendationsFor(connection, user, 5);
    say(
      table(
        ['', 'title', 'genres', 'score', 'from'],
        list.map((row) => [row.rank, row.title, row.genres, metric(row.predicted_score), row.provenance]),
      ),
    );
  });
}
