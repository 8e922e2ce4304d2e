import { createHmac, timingSafeEqual } from 'node:crypto';
import { spawn, spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { text } from 'node:stream/consumers';
import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { outcomeOf, startNight } from '../scripts/support/start-night.ts';
import type { NightlyResult } from '../workflows/contracts.ts';
import { bundleWithShortTimeouts } from './faults/supervisor.ts';
import { historyToJson } from './replay/history-json.ts';
import {
  type MailServer,
  type WebhookReceiver,
  startMailServer,
  startWebhookReceiver,
} from './support/receivers.ts';
import { runScript } from './support/scripts.ts';
import { fillSource } from './support/source.ts';
import { SMALL } from './support/stages.ts';
import { type NightTest, createTestTemporal, startNightTest } from './support/temporal.ts';

const SIGNING_SECRET = 'the-signing-secret-of-the-webhook';
const SECRETS = [SIGNING_SECRET, 'the-secret-in-the-path', 'the-password-of-the-mail-server'];

let bundle: string;
let receiver: WebhookReceiver;
let mailServer: MailServer;
let night: NightTest;
beforeAll(async () => {
  [bundle, receiver, mailServer] = await Promise.all([
    bundleWithShortTimeouts(),
    startWebhookReceiver(),
    startMailServer(),
  ]);
  night = await startNightTest({
    NIGHTJAR_WORKFLOW_BUNDLE: bundle,
    NIGHTJAR_ALERT_WEBHOOK_URL: `http://127.0.0.1:${receiver.port}/hook/the-secret-in-the-path`,
    NIGHTJAR_ALERT_WEBHOOK_SECRET: SIGNING_SECRET,
    NIGHTJAR_ALERT_EMAIL_TO: 'on-call@example.org, team@example.org',
    NIGHTJAR_ALERT_EMAIL_FROM: 'nightjar@example.org',
    NIGHTJAR_SMTP_URL: `smtp://nightjar:the-password-of-the-mail-server@127.0.0.1:${mailServer.port}`,
  });
  await fillSource(night.database, 30, 20);
});
afterAll(async () => {
  await night.close();
  await receiver.close();
  mailServer.close();
  rmSync(dirname(bundle), { recursive: true });
});

interface FoundDelivery {
  kind: string;
  channel: string;
  state: string;
  attempts: number;
  last_error: string | null;
}

async function deliveriesOf(run: number): Promise<FoundDelivery[]> {
  const { rows } = await night.database.pool.query<FoundDelivery>(
    `select kind, channel, state, attempts, last_error
     from pipeline.alerts join pipeline.alert_deliveries using (alert_id)
     where run = $1 order by alert_id, channel`,
    [run],
  );
  return rows;
}

const statesOf = async (run: number): Promise<string[]> =>
  (await deliveriesOf(run)).map(({ channel, state }) => `${channel} ${state}`);

let day = 0;
/** A night whose model is over the threshold: blocked, with two alerts. */
async function blockedNight(): Promise<{ outcome: NightlyResult; announcing: number }> {
  const asOf = new Date(Date.UTC(2026, 1, ++day)).toISOString();
  const overrides = [...SMALL, 'alarm.rmseThreshold=0.1'];
  const handle = await startNight(night.client, { asOf, profile: 'small', overrides });
  const outcome = await outcomeOf(handle, handle.result());
  return { outcome, announcing: await announcingMilliseconds(handle) };
}

/** All that alerts may cost a night: a child is started, and the night ends; the receiver's first attempt takes 10 s. */
const ANNOUNCING_MILLISECONDS = 5_000;

/** From the moment at which the night asks for the delivery to its own end. */
async function announcingMilliseconds(handle: WorkflowHandle): Promise<number> {
  const events = (await handle.fetchHistory()).events ?? [];
  const at = (event: (typeof events)[number] | undefined): number =>
    Number(event?.eventTime?.seconds) * 1000 + Number(event?.eventTime?.nanos) / 1e6;
  const asked = events.find(
    ({ startChildWorkflowExecutionInitiatedEventAttributes: child }) =>
      child?.workflowType?.name === 'deliverAlerts',
  );
  return at(events.at(-1)) - at(asked);
}

const ALL = (state: string): string[] =>
  ['email', 'webhook', 'email', 'webhook'].map((name) => `${name} ${state}`);

/** What a receiver of Slack's scheme does with a request. */
function verifies(body: string, headers: Record<string, unknown>, secret: string): boolean {
  const timestamp = String(headers['x-slack-request-timestamp']);
  const expected = `v0=${createHmac('sha256', secret).update(`v0:${timestamp}:${body}`).digest('hex')}`;
  const fresh = Math.abs(Date.now() / 1000 - Number(timestamp)) < 300;
  return fresh && timingSafeEqual(Buffer.from(expected), Buffer.from(String(headers['x-slack-signature'])));
}

let undisturbed: Awaited<ReturnType<typeof blockedNight>>;
test('each alert arrives once by each channel, after its row is written', async () => {
  const known: number[] = [];
  receiver.look = async ({ body }) => {
    const { alert } = JSON.parse(body) as { alert: { alert_id: number } };
    const { rowCount } = await night.database.pool.query('select from pipeline.alerts where alert_id = $1', [
      alert.alert_id,
    ]);
    known.push(rowCount ?? 0);
  };
  undisturbed = await blockedNight();
  const { run, as_of, reason } = undisturbed.outcome;
  expect(undisturbed.outcome).toMatchObject({
    status: 'blocked',
    alerts: ['rmse_over_threshold', 'publish_blocked'],
  });
  await expect.poll(() => statesOf(run), { timeout: 20_000 }).toEqual(ALL('delivered'));
  expect(known).toEqual([1, 1]);
  receiver.look = () => Promise.resolve();

  expect(receiver.requests).toHaveLength(2);
  for (const { body, headers } of receiver.accepted) {
    expect(verifies(body, headers, SIGNING_SECRET)).toBe(true);
    expect(verifies(body, headers, 'another secret, as long as it')).toBe(false);
    expect(verifies(`${body} `, headers, SIGNING_SECRET)).toBe(false);
  }
  const blocked = JSON.parse(receiver.accepted[receiver.accepted.length - 1].body) as Record<string, unknown>;
  expect(Object.keys(blocked)).toEqual(['text', 'alert']);
  expect(receiver.accepted.map(({ body }) => (JSON.parse(body) as typeof blocked).alert)).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ kind: 'publish_blocked', run, as_of, message: reason }) as unknown,
    ]),
  );
  expect(mailServer.credentials).toContain('\0nightjar\0the-password-of-the-mail-server');
  expect(mailServer.mails).toHaveLength(2);
  const mail = mailServer.mails.find((text) => text.includes('publish blocked')) ?? '';
  expect(mail).toContain('To: on-call@example.org, team@example.org');
  expect(mail).toContain('docs/runbook.md');
});

describe.each([
  ['hangs', ['hang' as const, 'hang' as const]],
  ['answers 500 ten times', Array.from({ length: 20 }, () => 500)],
])('a receiver that %s', (_name, answers) => {
  test('changes neither result nor duration of the night, and has each alert once in the end', async () => {
    receiver.requests = [];
    receiver.accepted = [];
    receiver.next = [...answers];
    const { outcome, announcing } = await blockedNight();
    const { run } = outcome;
    // It was over while the receiver was not well.
    expect((await statesOf(run)).filter((state) => state === 'webhook delivered')).toEqual([]);
    expect(outcome).toMatchObject({ ...undisturbed.outcome, ...ofItsOwn(outcome) });
    expect(announcing).toBeLessThan(ANNOUNCING_MILLISECONDS);

    await expect.poll(() => statesOf(run), { timeout: 40_000 }).toEqual(ALL('delivered'));
    const keys = receiver.accepted.map(({ headers }) => headers['idempotency-key']);
    expect(keys).toHaveLength(2);
    expect(new Set(keys).size).toBe(2);
    expect(receiver.requests).toHaveLength(2 + answers.length);
    const attempts = (await deliveriesOf(run)).filter(({ channel }) => channel === 'webhook');
    expect(attempts.reduce((sum, one) => sum + one.attempts, 0)).toBe(2 + answers.length);
  });
});

/** What differs from night to night. */
function ofItsOwn({ run, as_of, model_version, reason, duration_seconds }: NightlyResult) {
  return { run, as_of, model_version, reason, duration_seconds };
}

test('a receiver that is gone leaves the night as ever, and its alerts marked undelivered', async () => {
  await receiver.close();
  const { outcome, announcing } = await blockedNight();
  expect(outcome).toMatchObject({ ...undisturbed.outcome, ...ofItsOwn(outcome) });
  expect(announcing).toBeLessThan(ANNOUNCING_MILLISECONDS);
  await expect
    .poll(() => statesOf(outcome.run), { timeout: 60_000 })
    .toEqual(['email delivered', 'webhook undelivered', 'email delivered', 'webhook undelivered']);
  const [, found] = await deliveriesOf(outcome.run);
  expect(found.last_error).toBe('the receiver could not be reached: ECONNREFUSED');
  expect(found.attempts).toBeGreaterThan(10);
  await expect
    .poll(() =>
      night.client.workflow.count(`WorkflowType = 'deliverAlerts' and NightjarOutcome = 'undelivered'`),
    )
    .toMatchObject({ count: 1 });

  // Once it is given up it stays so, also where the receiver comes back.
  await receiver.open();
  const env = { DATABASE_URL: night.database.url };
  expect((await runScript('pipeline status', env)).stdout).toContain('alerts that have not arrived: 2');
  const shown = await runScript('pipeline alerts --limit 1 --json', env);
  expect(JSON.parse(shown.stdout)).toMatchObject([
    {
      kind: 'publish_blocked',
      run: outcome.run,
      deliveries: [
        { channel: 'email', state: 'delivered' },
        { channel: 'webhook', state: 'undelivered' },
      ],
    },
  ]);
  expect((await runScript('pipeline alerts', env)).stdout).toContain('webhook: undelivered after');
});

describe('alert-test', () => {
  const run = (line = 'pipeline alert-test', on = night) =>
    runScript(line, {
      DATABASE_URL: on.database.url,
      TEMPORAL_ADDRESS: on.address,
      TEMPORAL_NAMESPACE: on.namespace,
    });

  test('says of every channel that it arrived', async () => {
    const mails = mailServer.mails.length;
    expect(await run()).toMatchObject({ code: 0, stdout: 'email: delivered\nwebhook: delivered\n' });
    expect(mailServer.mails).toHaveLength(mails + 1);
  });

  test('fails where one did not, and says why', async () => {
    receiver.next = [404];
    mailServer.next = [550, 550];
    const { code, stdout } = await run('pipeline alert-test --json');
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject([
      { channel: 'email', delivery: 'undelivered', error: 'the mail server answered 550 (EENVELOPE)' },
      { channel: 'webhook', delivery: 'undelivered', error: 'the receiver answered 404' },
    ]);
  });

  test('is bad input where no channel is configured, and leaves nothing', async () => {
    const none = await startNightTest({ NIGHTJAR_WORKFLOW_BUNDLE: bundle });
    try {
      const { code, stderr } = await run('pipeline alert-test', none);
      expect(code).toBe(2);
      expect(stderr.trim().split('\n')).toHaveLength(1);
      expect(stderr).toContain('NIGHTJAR_ALERT_WEBHOOK_URL');
      expect((await none.database.pool.query('select from pipeline.alerts')).rowCount).toBe(0);
    } finally {
      await none.close();
    }
  });
});

/** A history with its payloads, which are base64, as what they say. */
function plainText(history: unknown): string {
  const payloads: string[] = [];
  const text = JSON.stringify(history, (key, value: unknown) => {
    if (key === 'data' && typeof value === 'string') payloads.push(Buffer.from(value, 'base64').toString());
    return value;
  });
  return [text, ...payloads].join('\n');
}

test('no secret is in a history or a table', async () => {
  let histories = 0;
  let all = '';
  for await (const { workflowId, runId } of night.client.workflow.list()) {
    const history = await night.client.workflow.getHandle(workflowId, runId).fetchHistory();
    const text = plainText(historyToJson(history));
    for (const secret of [...SECRETS, `:${receiver.port}`, 'example.org'])
      expect(text, workflowId).not.toContain(secret);
    all += text;
    histories++;
  }
  expect(histories).toBeGreaterThan(8);
  // The proof that results and failures were looked into.
  expect(all).toContain('could not be reached: ECONNREFUSED');
  expect(all).toContain('"alerts":["rmse_over_threshold","publish_blocked"]');
  const { rows } = await night.database.pool.query<{ text: string }>(`
    select alerts::text as text from pipeline.alerts
    union all select alert_deliveries::text from pipeline.alert_deliveries
    union all select run_log::text from pipeline.run_log
    union all select runs::text from pipeline.runs`);
  expect(rows.length).toBeGreaterThan(10);
  for (const secret of SECRETS) expect(JSON.stringify(rows)).not.toContain(secret);
});

test('no secret is in the log of a worker, nor in its refusal to start', async () => {
  const fresh = await createTestTemporal();
  const env = {
    ...process.env,
    DATABASE_URL: night.database.url,
    TEMPORAL_ADDRESS: fresh.address,
    TEMPORAL_NAMESPACE: fresh.namespace,
    NIGHTJAR_WORKFLOW_BUNDLE: bundle,
    // Nobody listens at the first port, and the second speaks no SMTP.
    NIGHTJAR_ALERT_WEBHOOK_URL: 'http://127.0.0.1:1/hook/the-secret-in-the-path',
    NIGHTJAR_ALERT_WEBHOOK_SECRET: SIGNING_SECRET,
    NIGHTJAR_ALERT_EMAIL_TO: 'on-call@example.org',
    NIGHTJAR_ALERT_EMAIL_FROM: 'nightjar@example.org',
    NIGHTJAR_SMTP_URL: `smtp://nightjar:the-password-of-the-mail-server@127.0.0.1:${receiver.port}`,
    LOG_LEVEL: 'trace',
  };
  const worker = spawn(process.execPath, ['worker/main.ts'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const log = Promise.all([text(worker.stdout), text(worker.stderr)]);
  const { code, stdout, stderr } = await runScript('pipeline alert-test', {
    DATABASE_URL: env.DATABASE_URL,
    TEMPORAL_ADDRESS: env.TEMPORAL_ADDRESS,
    TEMPORAL_NAMESPACE: env.TEMPORAL_NAMESPACE,
    NIGHTJAR_DEBUG: '1',
  });
  worker.kill('SIGTERM');
  const said = [...(await log), stdout, stderr].join('\n');
  await fresh.close();
  expect(code, said).toBe(1);
  expect(said).toContain('"alerts":["webhook","email"]');
  expect(said).toContain('alert-test');
  for (const secret of SECRETS) expect(said).not.toContain(secret);

  const refused = spawnSync(process.execPath, ['worker/main.ts'], {
    encoding: 'utf8',
    env: { ...env, NIGHTJAR_ALERT_WEBHOOK_URL: 'ftp://host/the-secret-in-the-path' },
  });
  expect(refused.status).toBe(2);
  expect(refused.stderr).toContain('NIGHTJAR_ALERT_WEBHOOK_URL: expected an http or https URL');
  for (const secret of SECRETS) expect(refused.stderr).not.toContain(secret);
}, 180_000);
