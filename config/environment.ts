/** The process's configuration from its environment, validated once at the edge and passed down. */

import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { UsageError } from './settings.ts';

const milliseconds = z.string().regex(/^\d+(ms|s|m)$/, 'expected a duration such as 500ms, 10s or 5m');

const addresses = z
  .string()
  .transform((text) => text.split(',').map((one) => one.trim()))
  .pipe(z.array(z.email('expected addresses separated by commas')));

export const environmentSchema = z.object({
  /** The pipeline's own database. */
  DATABASE_URL: z.url({
    protocol: /^postgres(ql)?$/,
    error: 'expected postgresql://user@host:port/database',
  }),
  /** Where the ratings are read from; the same database unless set. */
  SOURCE_DATABASE_URL: z
    .url({ protocol: /^postgres(ql)?$/, error: 'expected postgresql://user@host:port/database' })
    .optional(),
  /** Threads of one numeric activity. */
  NIGHTJAR_THREADS: z.coerce.number().int().min(1).max(64).default(availableParallelism()),
  /** Numeric activities at a time. One, because one already takes every processor. */
  NIGHTJAR_TRAINING_SLOTS: z.coerce.number().int().min(1).default(1),
  /** Other activities at a time: the widest stage of the night has four. */
  NIGHTJAR_ACTIVITY_SLOTS: z.coerce.number().int().min(1).default(8),
  /** Connections to the pipeline's database: one for each slot, one more for each parallel reader of ingestion. */
  NIGHTJAR_POOL_SIZE: z.coerce.number().int().default(16),
  /** How long activities may go on after SIGTERM before they are cancelled, and then before the process ends. */
  NIGHTJAR_SHUTDOWN_GRACE: milliseconds.default('5s'),
  NIGHTJAR_SHUTDOWN_FORCE: milliseconds.default('15s'),
  /**
   * A bundle made by `npm run bundle`; without one, workflows are bundled when the worker starts. In production all
   * workers of one release must run the same workflow code, so there it has to be named.
   */
  NIGHTJAR_WORKFLOW_BUNDLE: z.string().optional(),
  /** What the ledger and the models' metadata say computed them; the commit where there is one. */
  NIGHTJAR_CODE_VERSION: z.string().optional(),
  /** Where alerts are posted. Secret: whoever knows the URL may post there. */
  NIGHTJAR_ALERT_WEBHOOK_URL: z
    .url({ protocol: /^https?$/, error: 'expected an http or https URL' })
    .optional(),
  /** Key of the signature that the receiver verifies; unsigned without one. */
  NIGHTJAR_ALERT_WEBHOOK_SECRET: z.string().min(16, 'expected at least 16 characters').optional(),
  /** Recipients and sender of alerts by e-mail; addresses separated by commas. */
  NIGHTJAR_ALERT_EMAIL_TO: addresses.optional(),
  NIGHTJAR_ALERT_EMAIL_FROM: z.email('expected one address').optional(),
  /** The mail server, with its user and password where it asks for them. */
  NIGHTJAR_SMTP_URL: z
    .url({ protocol: /^smtps?$/, error: 'expected smtp://user:password@host:port, or smtps' })
    .optional(),
  NODE_ENV: z.string().optional(),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
});

export type Environment = z.infer<typeof environmentSchema>;

/**
 * Reads and validates the environment; an empty variable counts as unset.
 * @throws UsageError that names the variable and what was wrong, never its value
 */
export function readEnvironment(env: NodeJS.ProcessEnv = process.env): Environment {
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = environmentSchema.safeParse(set);
  if (parsed.success) {
    requireBundle(parsed.data);
    requireConnections(parsed.data);
    requireWholeChannels(parsed.data);
    return parsed.data;
  }
  const issue = parsed.error.issues[0];
  const name = String(issue.path[0]);
  throw new UsageError(
    name in set
      ? `${name}: ${issue.message}`
      : `${name} is not set; docs/configuration.md lists all variables`,
  );
}

function requireBundle({ NODE_ENV, NIGHTJAR_WORKFLOW_BUNDLE }: Environment): void {
  const make = 'npm run bundle makes one and prints its path';
  if (NIGHTJAR_WORKFLOW_BUNDLE === undefined) {
    if (NODE_ENV !== 'production') return;
    throw new UsageError(`NIGHTJAR_WORKFLOW_BUNDLE is not set, and NODE_ENV is production; ${make}`);
  }
  if (!existsSync(NIGHTJAR_WORKFLOW_BUNDLE))
    throw new UsageError(`NIGHTJAR_WORKFLOW_BUNDLE names a file that there is not; ${make}`);
}

const EMAIL = ['NIGHTJAR_ALERT_EMAIL_TO', 'NIGHTJAR_ALERT_EMAIL_FROM', 'NIGHTJAR_SMTP_URL'] as const;

/** A channel that is configured by half would be found out by the first alert that does not come. */
function requireWholeChannels(environment: Environment): void {
  const unset = EMAIL.filter((name) => environment[name] === undefined);
  if (unset.length > 0 && unset.length < EMAIL.length)
    throw new UsageError(`${unset[0]} is not set; alerts by e-mail need ${EMAIL.join(', ')}`);
  if (
    environment.NIGHTJAR_ALERT_WEBHOOK_SECRET !== undefined &&
    environment.NIGHTJAR_ALERT_WEBHOOK_URL === undefined
  )
    throw new UsageError('NIGHTJAR_ALERT_WEBHOOK_URL is not set, and NIGHTJAR_ALERT_WEBHOOK_SECRET is');
}

/** Of one activity that may hold a connection while it asks for another: two readers of ingestion, two of factors. */
const CONNECTIONS_BESIDE_SLOTS = 2;

function requireConnections(environment: Environment): void {
  const { NIGHTJAR_POOL_SIZE, NIGHTJAR_ACTIVITY_SLOTS, NIGHTJAR_TRAINING_SLOTS } = environment;
  const least = NIGHTJAR_ACTIVITY_SLOTS + NIGHTJAR_TRAINING_SLOTS + CONNECTIONS_BESIDE_SLOTS;
  if (NIGHTJAR_POOL_SIZE >= least) return;
  throw new UsageError(
    `NIGHTJAR_POOL_SIZE: expected at least ${least}, one for each slot and ${CONNECTIONS_BESIDE_SLOTS} more`,
  );
}
