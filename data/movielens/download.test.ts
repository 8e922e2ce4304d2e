import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import getPort from 'get-port';
import { beforeEach, expect, test } from 'vitest';
import type { LoadProgress } from '../load.ts';
import { downloadSet } from './download.ts';

/** Several chunks of a socket. */
const ZIP = Buffer.from(Uint32Array.from({ length: 1 << 18 }, (_, at) => at * 2_654_435_761).buffer);
const MD5 = createHash('md5').update(ZIP).digest('hex');

/** A site whose answers a test can change. */
interface Site {
  url: string;
  requests: string[];
  answers: Record<string, (request: IncomingMessage, response: ServerResponse) => void>;
}

let folder: string;
let site: Site;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'nightjar-download-'));
  const requests: string[] = [];
  const answers: Site['answers'] = {
    '/sets/ml-1m.zip': sendZip,
    '/sets/ml-1m.zip.md5': (_request, response) => response.end(`${MD5}  ml-1m.zip\n`),
  };
  const server = createServer((request, response) => {
    requests.push(`${request.url ?? ''} ${request.headers.range ?? ''}`.trim());
    const answer = answers[request.url ?? ''] as Site['answers'][string] | undefined;
    if (answer !== undefined) return answer(request, response);
    response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  site = { url: `http://127.0.0.1:${port}/sets`, requests, answers };
  return async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true });
  };
});

/** As a server does that can go on in the middle. */
function sendZip({ headers }: IncomingMessage, response: ServerResponse): void {
  const from = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
  if (from >= ZIP.length) return void response.writeHead(416).end();
  response.writeHead(from > 0 ? 206 : 200, { 'content-length': ZIP.length - from }).end(ZIP.subarray(from));
}

/** Sends some bytes of what it promised, and hangs up. */
function cutOff(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { 'content-length': ZIP.length });
  response.write(ZIP.subarray(0, 300_000), () => setTimeout(() => response.destroy(), 100));
}

const download = (url = site.url): Promise<string> => downloadSet('ml-1m', { folder, site: url });

test('a set is downloaded once, with progress, and is kept', async () => {
  const progress: LoadProgress[] = [];
  const onProgress = (one: LoadProgress): void => void progress.push(one);
  const path = await downloadSet('ml-1m', { folder, site: `${site.url}/`, onProgress });
  expect(path).toBe(join(folder, 'ml-1m.zip'));
  expect(readFileSync(path).equals(ZIP)).toBe(true);
  expect(progress.at(-1)).toEqual({ what: 'zip', done: ZIP.length, share: 1 });
  expect(await download()).toBe(path);
  expect(site.requests).toEqual(['/sets/ml-1m.zip.md5', '/sets/ml-1m.zip']);
  expect(readdirSync(folder)).toEqual(['ml-1m.zip']);
});

test('a checksum as BSD writes it is one too', async () => {
  site.answers['/sets/ml-1m.zip.md5'] = (_request, response) =>
    response.end(`MD5 (ml-1m.zip) = ${MD5.toUpperCase()}\n`);
  expect(existsSync(await download())).toBe(true);
});

test('another checksum than the published one: thrown away, and the next download begins anew', async () => {
  const right = site.answers['/sets/ml-1m.zip.md5'];
  site.answers['/sets/ml-1m.zip.md5'] = (_request, response) => response.end('0'.repeat(32));
  await expect(download()).rejects.toThrow(
    `its checksum is ${MD5}, ${'0'.repeat(32)} is published; it was thrown away`,
  );
  expect(readdirSync(folder)).toEqual([]);
  site.answers['/sets/ml-1m.zip.md5'] = right;
  expect(existsSync(await download())).toBe(true);
});

test('a download that is cut off has no name yet, and goes on where it was', async () => {
  site.answers['/sets/ml-1m.zip'] = cutOff;
  await expect(download()).rejects.toThrow(
    /ml-1m was not downloaded from .*ml-1m\.zip: .*; what came is kept/,
  );
  expect(readdirSync(folder)).toEqual(['ml-1m.zip.partial']);
  site.answers['/sets/ml-1m.zip'] = sendZip;
  const progress: LoadProgress[] = [];
  const onProgress = (one: LoadProgress): void => void progress.push(one);
  const path = await downloadSet('ml-1m', { folder, site: site.url, onProgress });
  expect(readFileSync(path).equals(ZIP)).toBe(true);
  expect(progress.at(-1)).toEqual({ what: 'zip', done: ZIP.length, share: 1 });
  expect(site.requests.at(-1)).toBe('/sets/ml-1m.zip bytes=300000-');
});

test('a site that cannot go on in the middle is asked for all of it', async () => {
  site.answers['/sets/ml-1m.zip'] = cutOff;
  await expect(download()).rejects.toThrow('was not downloaded');
  site.answers['/sets/ml-1m.zip'] = (_request, response) => response.end(ZIP);
  expect(readFileSync(await download()).equals(ZIP)).toBe(true);
});

test.each<[string, (answers: Site['answers']) => void, string]>([
  [
    'no checksum',
    (answers) => delete answers['/sets/ml-1m.zip.md5'],
    'its checksum: the site answered 404 Not Found',
  ],
  [
    'a page for a checksum',
    (answers) => (answers['/sets/ml-1m.zip.md5'] = (_, response) => response.end('<html>')),
    'its checksum: no MD5 in',
  ],
  ['no zip', (answers) => delete answers['/sets/ml-1m.zip'], 'the site answered 404 Not Found'],
  [
    'an error',
    (answers) => (answers['/sets/ml-1m.zip'] = (_, response) => response.writeHead(503).end()),
    'the site answered 503 Service Unavailable',
  ],
])('a site with %s: one sentence, and nothing is kept', async (_name, change, says) => {
  change(site.answers);
  const failed = download();
  await expect(failed).rejects.toThrow(says);
  await expect(failed).rejects.toThrow('a zip that is at hand can be loaded by --data');
  expect(readdirSync(folder)).toEqual([]);
});

test('a site that cannot be reached: one sentence that says why', async () => {
  // Nobody listens on a port that was free a moment ago.
  const port = await getPort();
  await expect(download(`http://127.0.0.1:${port}/sets`)).rejects.toThrow(
    `ml-1m was not downloaded from http://127.0.0.1:${port}/sets/ml-1m.zip: connect ECONNREFUSED 127.0.0.1:${port}`,
  );
  await expect(download(`http://localhost:${port}/sets`)).rejects.toThrow('connect ECONNREFUSED');
});

test('a download that is stopped ends with the reason', async () => {
  const stop = new AbortController();
  const reason = new Error('enough');
  const onProgress = (): void => stop.abort(reason);
  const stopped = downloadSet('ml-1m', { folder, site: site.url, signal: stop.signal, onProgress });
  await expect(stopped).rejects.toBe(reason);
  expect(readdirSync(folder)).toEqual(['ml-1m.zip.partial']);
});
