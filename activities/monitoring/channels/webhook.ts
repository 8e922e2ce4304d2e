import { createHmac } from 'node:crypto';
import { type AlertChannel, type AlertMessage, DeliveryError, codeOf, headline } from './channel.ts';

/** A receiver that takes longer is tried again: chats answer within a second. Below the activity's own timeout. */
const PATIENCE_MILLISECONDS = 10_000;
/** What a receiver may ask for by Retry-After; more is not believed. */
const LONGEST_WAIT_SECONDS = 3_600;

/** Posts alerts as JSON that Slack's incoming webhooks take; whoever reads more finds the alert itself beside `text`. */
export function createWebhook(url: string, secret: string | undefined): AlertChannel {
  return {
    name: 'webhook',
    async send(alert) {
      const body = bodyOf(alert);
      const response = await post(url, body, {
        'content-type': 'application/json; charset=utf-8',
        'idempotency-key': alert.idempotencyKey,
        ...(secret === undefined ? {} : signatureHeaders(secret, body)),
      });
      await response.body?.cancel();
      if (!response.ok)
        throw new DeliveryError(`the receiver answered ${response.status}`, retryAfter(response));
    },
  };
}

/**
 * Slack's scheme for signed requests: HMAC-SHA256 of `v0:timestamp:body`, in hexadecimal. A receiver refuses what is
 * older than five minutes, so that nobody sends it again.
 * @see https://docs.slack.dev/authentication/verifying-requests-from-slack
 */
export function signatureHeaders(secret: string, body: string, now = Date.now()): Record<string, string> {
  const timestamp = String(Math.floor(now / 1000));
  const signature = createHmac('sha256', secret).update(`v0:${timestamp}:${body}`).digest('hex');
  return { 'x-slack-request-timestamp': timestamp, 'x-slack-signature': `v0=${signature}` };
}

function bodyOf({ idempotencyKey: _key, ...alert }: AlertMessage): string {
  return JSON.stringify({
    text: `*${headline({ ...alert, idempotencyKey: _key })}*\n${escape(alert.message)}`,
    alert,
  });
}

/** Slack's three control characters: a title from the source must not call everybody by `<!channel>`. */
function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

async function post(url: string, body: string, headers: Record<string, string>): Promise<Response> {
  try {
    return await fetch(url, {
      method: 'POST',
      body,
      headers,
      // A signed alert goes where it was configured to go.
      redirect: 'manual',
      signal: AbortSignal.timeout(PATIENCE_MILLISECONDS),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'TimeoutError')
      throw new DeliveryError(`the receiver did not answer within ${PATIENCE_MILLISECONDS / 1000} s`);
    throw new DeliveryError(`the receiver could not be reached: ${codeOf(error)}`);
  }
}

function retryAfter(response: Response): number | null {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  return seconds > 0 ? Math.min(seconds, LONGEST_WAIT_SECONDS) : null;
}
