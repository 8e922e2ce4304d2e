import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SELF_SIGNED } from '../../../test/support/certificate.ts';
import { type MailServer, startMailServer } from '../../../test/support/receivers.ts';
import type { AlertMessage } from './channel.ts';
import { createEmail } from './email.ts';

let server: MailServer;
beforeEach(async () => {
  server = await startMailServer(SELF_SIGNED);
});
afterEach(() => {
  server.close();
  setDefaultCACertificates(getCACertificates('bundled'));
});

const ALERT: AlertMessage = {
  alert_id: 7,
  kind: 'run_failed',
  run: 3,
  as_of: '2026-02-01T00:00:00.000Z',
  message: 'run 3, source gate: no ratings',
  raised_at: '2026-02-01T02:00:00.000Z',
  idempotencyKey: 'alert-7',
};
const send = (url: string): Promise<void> =>
  createEmail({ url, from: 'nightjar@example.org', to: ['on-call@example.org'] }).send(ALERT);
const trust = (): void => setDefaultCACertificates([...getCACertificates('bundled'), SELF_SIGNED.cert]);

/** What went over the wire for everybody to read: greetings, and nothing of the alert or of who sends it. */
const expectNothingTold = (): void => {
  expect(server.plain.filter((line) => !/^(EHLO .*|STARTTLS|QUIT)$/.test(line))).toEqual([]);
  expect([server.mails, server.credentials]).toEqual([[], []]);
};

test('where the server offers STARTTLS, password and alert go through TLS', async () => {
  trust();
  await send(`smtp://nightjar:secret@localhost:${server.port}`);
  expect(server.credentials).toEqual(['\0nightjar\0secret']);
  expect(server.mails).toHaveLength(1);
  expect(server.mails[0]).toContain('no ratings');
  expect(server.plain.map((line) => line.split(' ')[0])).toEqual(['EHLO', 'STARTTLS']);
});

test.each(['smtp://localhost', 'smtp://nightjar:secret@localhost'])(
  'a certificate that nobody vouches for is refused by %s, and nothing is told',
  async (url) => {
    await expect(send(`${url}:${server.port}`)).rejects.toMatchObject({
      name: 'DeliveryError',
      message:
        "the mail server's certificate is not trusted: DEPTH_ZERO_SELF_SIGNED_CERT; nothing was sent. Trust its authority by NODE_EXTRA_CA_CERTS",
    });
    expectNothingTold();
  },
);

test('a certificate of another name is refused, trusted or not', async () => {
  trust();
  await expect(send(`smtp://127.0.0.1:${server.port}`)).rejects.toThrow(
    'certificate is not trusted: ERR_TLS_CERT_ALTNAME_INVALID; nothing was sent',
  );
  expectNothingTold();
});

test('a server elsewhere that offers no TLS gets no password', async () => {
  server.close();
  server = await startMailServer();
  // This machine by a name that does not say so.
  await expect(send(`smtp://nightjar:secret@[::ffff:127.0.0.1]:${server.port}`)).rejects.toThrow(
    'the mail server takes no STARTTLS, and without TLS no password is sent',
  );
  expectNothingTold();
});

test('a server that is gone is told by its code', async () => {
  server.close();
  await expect(send(`smtp://localhost:${server.port}`)).rejects.toThrow(
    'the mail server could not be used: ECONNREFUSED',
  );
});
