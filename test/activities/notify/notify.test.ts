import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { notifyAll } from '../../../activities/notify/index.js';
import { EVENTS } from '../../../src/core/events.js';
import type { NotifySpec } from '../../../src/core/plan.js';
import { testContext } from '../../support/context.js';

const FAST = { tries: 3, firstPauseMs: 5, tryMs: 60_000, totalMs: 600_000 };
const NOTICE = { site: 'cms', host: 'local', said: 'cms backed up to nas', outcome: 'completed' as const };

interface Received {
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  body: string;
}

async function receiver(t: TestContext, answer: (res: ServerResponse, n: number) => void) {
  const received: Received[] = [];
  const server = createServer((req, res) => {
    let body = '';
    req.on('data', (chunk) => {
      body += chunk;
    });
    req.on('end', () => {
      received.push({ method: req.method ?? '', path: req.url ?? '', headers: req.headers, body });
      answer(res, received.length);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { received, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/s3cret-path` };
}

const status = (code: number) => (res: ServerResponse) => res.writeHead(code).end('s3cret-answer');
let variable = 0;
function secret(value: string) {
  const env = `NOTIFY_TEST_${variable++}`;
  process.env[env] = value;
  return { env };
}
const webhook = (url: string, key?: string): NotifySpec => ({
  kind: 'webhook',
  name: 'ops',
  url: secret(url),
  ...(key ? { key: secret(key) } : {}),
  on: ['completed', 'failed'],
});
const ping = (url: string, on: string[] = []): NotifySpec => ({ kind: 'ping', name: 'hc', url: secret(url), on });

test('a webhook gets the report as signed JSON', async (t) => {
  const { received, url } = await receiver(t, status(204));
  const ctx = await testContext();
  const began = Date.now();
  assert.deepEqual(await notifyAll([webhook(url, 'key-1\n')], 'completed', NOTICE, ctx), []);
  const [got] = received;
  assert.equal(got?.method, 'POST');
  const body = JSON.parse(got?.body ?? '');
  const sentAt = Date.parse(body.sentAt);
  assert.ok(began <= sentAt && sentAt <= Date.now());
  assert.deepEqual(body, { ...NOTICE, schemaVersion: 1, event: 'completed', sentAt: body.sentAt });
  const [, time, mac] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(got?.headers['x-holdfast-signature'])) ?? [];
  assert.equal(mac, createHmac('sha256', 'key-1').update(`${time}.${got?.body}`).digest('hex'));
});

test('without a key there is no signature; events that it does not want are not sent', async (t) => {
  const { received, url } = await receiver(t, status(200));
  const ctx = await testContext();
  await notifyAll([webhook(url)], 'started', NOTICE, ctx);
  assert.equal(received.length, 0);
  await notifyAll([webhook(url)], 'failed', NOTICE, ctx);
  assert.equal(received.length, 1);
  assert.equal(received[0]?.headers['x-holdfast-signature'], undefined);
});

test('a ping says start, success and failure as Healthchecks does, and keeps the query', async (t) => {
  const { received, url } = await receiver(t, status(200));
  const ctx = await testContext();
  for (const event of EVENTS) await notifyAll([ping(`${url}/?rid=7`)], event, NOTICE, ctx);
  const of = (suffix: string) => `/s3cret-path${suffix}?rid=7`;
  assert.deepEqual(
    received.map((r) => r.path),
    [of('/start'), of(''), ...Array.from({ length: 6 }, () => of('/fail'))],
  );
  assert.equal(received[1]?.body, NOTICE.said);
  await notifyAll([ping(url, ['failed'])], 'completed', NOTICE, ctx);
  assert.equal(received.length, 8);
});

test('one that fails first is told at the second or third try', async (t) => {
  const { received, url } = await receiver(t, (res, n) => status(n < 3 ? 503 : 200)(res));
  assert.deepEqual(await notifyAll([webhook(url)], 'completed', NOTICE, await testContext(), FAST), []);
  assert.equal(received.length, 3);
});

const refusals: [string, (res: ServerResponse) => void, number, RegExp][] = [
  ['fails always', status(500), 3, /^ops was not told "completed": it answered 500$/],
  ['is asked too often', status(429), 3, /it answered 429$/],
  ['does not know the address', status(404), 1, /it answered 404$/],
  ['redirects', (res) => res.writeHead(302, { location: '/elsewhere' }).end(), 1, /302, a redirect/],
  ['hangs', () => undefined, 3, /it did not answer in time$/],
  ['hangs up', (res) => res.destroy(), 3, /it cannot be reached \(UND_ERR_SOCKET\)$/],
];

for (const [what, answer, tries, expected] of refusals)
  test(`a receiver that ${what} is a note after ${tries} tries, without a secret in it`, async (t) => {
    const { received, url } = await receiver(t, answer);
    const fetching = t.mock.method(globalThis, 'fetch');
    const limits = what === 'hangs' ? { ...FAST, tryMs: 200 } : FAST;
    const notes = await notifyAll([webhook(url, 's3cret-key')], 'completed', NOTICE, await testContext(), limits);
    assert.equal(notes.length, 1);
    assert.match(notes[0] ?? '', expected);
    assert.doesNotMatch(notes[0] ?? '', /s3cret|127\.0\.0\.1/);
    assert.equal(fetching.mock.callCount(), tries);
    // A try that is given up soon may not even come there.
    if (what !== 'hangs') assert.equal(received.length, tries);
  });

test('a receiver that hangs takes no longer than the limit of all tries together', async (t) => {
  const { url } = await receiver(t, () => undefined);
  const begun = performance.now();
  const limits = { tries: 1000, firstPauseMs: 5, tryMs: 60_000, totalMs: 400 };
  assert.equal((await notifyAll([webhook(url)], 'completed', NOTICE, await testContext(), limits)).length, 1);
  const many = { ...limits, tryMs: 100 };
  assert.equal((await notifyAll([webhook(url)], 'completed', NOTICE, await testContext(), many)).length, 1);
  assert.ok(performance.now() - begun < 30_000);
});

test('an address that is none, one that nobody listens at and a missing secret are notes too; others are told all the same', async (t) => {
  const { received, url } = await receiver(t, status(200));
  const ctx = await testContext();
  const missing: NotifySpec = {
    kind: 'webhook',
    name: 'gone',
    url: { file: '/nonexistent/s3cret' },
    on: ['completed'],
  };
  const specs = [
    webhook('s3cret words'),
    ping('s3cret words'),
    webhook('file:///etc/s3cret'),
    webhook('http://127.0.0.1:1/s3cret'),
    missing,
    webhook(url),
  ];
  const notes = await notifyAll(specs, 'completed', NOTICE, ctx, FAST);
  assert.equal(notes.length, 5);
  assert.doesNotMatch(notes.join('\n'), /s3cret/);
  assert.match(notes[3] ?? '', /cannot be reached/);
  assert.equal(received.length, 1);
});

test('a cancelled run does not wait for it', async (t) => {
  const { url } = await receiver(t, () => undefined);
  const ctx = await testContext();
  const telling = notifyAll([webhook(url)], 'completed', NOTICE, ctx);
  setTimeout(() => ctx.cancel(new Error('cancelled')), 50);
  assert.deepEqual(await telling, ['ops was not told "completed": the run was cancelled']);
});
