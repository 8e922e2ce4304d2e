import { createTransport } from 'nodemailer';
import { type AlertChannel, type AlertMessage, DeliveryError, codeOf, headline } from './channel.ts';

export interface EmailOptions {
  /** `smtp://`, with STARTTLS where the server offers it, or `smtps://`. */
  url: string;
  from: string;
  to: string[];
}

/** Each step of the conversation; together below the activity's own timeout. */
const PATIENCE_MILLISECONDS = 8_000;

/** Sends alerts as plain text to all recipients in one message. */
export function createEmail({ url, from, to }: EmailOptions): AlertChannel {
  return {
    name: 'email',
    async send(alert) {
      const transport = createTransport({
        ...serverOf(url),
        connectionTimeout: PATIENCE_MILLISECONDS,
        greetingTimeout: PATIENCE_MILLISECONDS,
        socketTimeout: PATIENCE_MILLISECONDS,
        // An alert is text: nothing is read from files or URLs.
        disableFileAccess: true,
        disableUrlAccess: true,
      });
      try {
        await transport.sendMail({
          from,
          to,
          subject: headline(alert),
          text: textOf(alert),
          // Mail programs show a message of the same id once.
          messageId: `<${alert.idempotencyKey}@${from.slice(from.indexOf('@') + 1)}>`,
        });
      } catch (error) {
        throw new DeliveryError(whyRefused(error));
      } finally {
        transport.close();
      }
    },
  };
}

/** A server that wants a password gets it through TLS only, unless it is on this machine. */
function serverOf(text: string) {
  const url = new URL(text);
  const secure = url.protocol === 'smtps:';
  const local = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
  const auth =
    url.username === ''
      ? undefined
      : { user: decodeURIComponent(url.username), pass: decodeURIComponent(url.password) };
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? (secure ? 465 : 587) : Number(url.port),
    secure,
    auth,
    requireTLS: auth !== undefined && !local,
  };
}

function textOf(alert: AlertMessage): string {
  return `${alert.message}\n\nalert ${alert.alert_id}, raised ${alert.raised_at}; docs/runbook.md says what ${alert.kind} means and what to do\n`;
}

/** By code only: a server's own words may repeat what it was sent. */
function whyRefused(error: unknown): string {
  const { responseCode, originalCode } = error as { responseCode?: number; originalCode?: string };
  // The cause where nodemailer names it: its own code only says where in the conversation it was.
  const code = originalCode === undefined ? codeOf(error) : codeOf({ code: originalCode });
  if (code === 'ETLS') return 'the mail server takes no STARTTLS, and without TLS no password is sent';
  if (/CERT|_SIGNATURE$/.test(code)) {
    return `the mail server's certificate is not trusted: ${code}; nothing was sent. Trust its authority by NODE_EXTRA_CA_CERTS`;
  }
  return typeof responseCode === 'number'
    ? `the mail server answered ${responseCode} (${code})`
    : `the mail server could not be used: ${code}`;
}
