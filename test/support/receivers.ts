/** Receivers of alerts as they are in the world: well, slow, failing, gone. */

import { once } from 'node:events';
import { type IncomingHttpHeaders, createServer as createHttpServer } from 'node:http';
import { type AddressInfo, type Socket, createServer as createTcpServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { TLSSocket } from 'node:tls';

export interface Received {
  headers: IncomingHttpHeaders;
  body: string;
}

export interface WebhookReceiver {
  port: number;
  /** What the next requests get, in order; then 200. */
  next: (number | 'hang')[];
  /** Every request, also those that got no good answer. */
  requests: Received[];
  /** Those that were answered 200. */
  accepted: Received[];
  /** Called with a request before it is answered. */
  look: (request: Received) => Promise<void>;
  /** Refuses connections until `open`. */
  close(): Promise<void>;
  open(): Promise<void>;
}

export async function startWebhookReceiver(): Promise<WebhookReceiver> {
  const server = createHttpServer((request, response) => {
    void text(request).then(async (body) => {
      const received = { headers: request.headers, body };
      receiver.requests.push(received);
      await receiver.look(received);
      const answer = receiver.next.shift() ?? 200;
      if (answer === 'hang') return;
      if (answer === 200) receiver.accepted.push(received);
      response.writeHead(answer).end('what a receiver says');
    });
  });
  const open = async (): Promise<void> => {
    server.listen(receiver.port, '127.0.0.1');
    await once(server, 'listening');
    receiver.port = (server.address() as AddressInfo).port;
  };
  const receiver: WebhookReceiver = {
    port: 0,
    next: [],
    requests: [],
    accepted: [],
    look: () => Promise.resolve(),
    open,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  await open();
  return receiver;
}

export interface MailServer {
  port: number;
  /** Messages as they came, headers and text. */
  mails: string[];
  /** What clients proved who they are with. */
  credentials: string[];
  /** Every line that came outside TLS. */
  plain: string[];
  /** Reply to the next recipients, in order; then 250. */
  next: number[];
  close(): void;
}

/**
 * Speaks as much SMTP as a client needs.
 * @param certificate with one it offers STARTTLS
 */
export async function startMailServer(certificate?: { key: string; cert: string }): Promise<MailServer> {
  const converse = (socket: Socket, secure: boolean): void => {
    const say = (line: string): void => void socket.write(`${line}\r\n`);
    let mail: string[] | null = null;
    let rest = '';
    const hear = (line: string): void => {
      if (!secure) found.plain.push(line);
      if (mail !== null) {
        if (line !== '.') return void mail.push(line);
        found.mails.push(mail.join('\n'));
        mail = null;
        return say('250 taken');
      }
      const [word, , credentials] = line.split(' ');
      switch (word.toUpperCase()) {
        case 'EHLO':
          return say(`250-here\r\n${certificate && !secure ? '250-STARTTLS\r\n' : ''}250 AUTH PLAIN`);
        case 'STARTTLS':
          if (certificate === undefined) return say('502 not here');
          say('220 go on');
          socket.off('data', listen);
          return converse(new TLSSocket(socket, { isServer: true, ...certificate }), true);
        case 'AUTH':
          found.credentials.push(Buffer.from(credentials, 'base64').toString());
          return say('235 welcome');
        case 'RCPT':
          return say(`${found.next.shift() ?? 250} so be it`);
        case 'DATA':
          mail = [];
          return say('354 go on');
        case 'QUIT':
          say('221 bye');
          return void socket.end();
        default:
          return say('250 yes');
      }
    };
    const listen = (chunk: Buffer): void => {
      const lines = (rest + chunk.toString()).split('\r\n');
      rest = lines.pop() ?? '';
      lines.forEach(hear);
    };
    socket.on('error', () => undefined);
    socket.on('data', listen);
  };
  const server = createTcpServer((socket) => {
    converse(socket, false);
    socket.write('220 here\r\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const found: MailServer = {
    port: (server.address() as AddressInfo).port,
    mails: [],
    credentials: [],
    plain: [],
    next: [],
    close: () => void server.close(),
  };
  return found;
}
