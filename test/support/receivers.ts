/** Receivers of alerts as they are in the world: well, slow, failing, gone. */

import { once } from 'node:events';
import { type IncomingHttpHeaders, createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { text } from 'node:stream/consumers';

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
  /** Reply to the next recipients, in order; then 250. */
  next: number[];
  close(): void;
}

/** Speaks as much SMTP as a client needs. */
export async function startMailServer(): Promise<MailServer> {
  const server = createTcpServer((socket) => {
    const say = (line: string): void => void socket.write(`${line}\r\n`);
    let mail: string[] | null = null;
    let rest = '';
    const hear = (line: string): void => {
      if (mail !== null) {
        if (line !== '.') return void mail.push(line);
        found.mails.push(mail.join('\n'));
        mail = null;
        return say('250 taken');
      }
      const [word, , credentials] = line.split(' ');
      switch (word.toUpperCase()) {
        case 'EHLO':
          return say('250-here\r\n250 AUTH PLAIN');
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
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      const lines = (rest + chunk.toString()).split('\r\n');
      rest = lines.pop() ?? '';
      lines.forEach(hear);
    });
    say('220 here');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const found: MailServer = {
    port: (server.address() as AddressInfo).port,
    mails: [],
    credentials: [],
    next: [],
    close: () => void server.close(),
  };
  return found;
}
