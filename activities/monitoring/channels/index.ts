import type { Environment } from '../../../config/environment.ts';
import type { AlertChannel } from './channel.ts';
import { createEmail } from './email.ts';
import { createWebhook } from './webhook.ts';

export { type AlertChannel, type AlertMessage, DeliveryError } from './channel.ts';

/** The channels that the environment configures, none to two. */
export function createAlertChannels(environment: Environment): AlertChannel[] {
  const {
    NIGHTJAR_ALERT_WEBHOOK_URL: webhook,
    NIGHTJAR_ALERT_WEBHOOK_SECRET: secret,
    NIGHTJAR_SMTP_URL: url,
    NIGHTJAR_ALERT_EMAIL_FROM: from,
    NIGHTJAR_ALERT_EMAIL_TO: to,
  } = environment;
  return [
    ...(webhook === undefined ? [] : [createWebhook(webhook, secret)]),
    ...(url === undefined || from === undefined || to === undefined ? [] : [createEmail({ url, from, to })]),
  ];
}
