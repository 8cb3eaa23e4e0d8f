import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer as createHook, type Server } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { unseal } from '../../activities/tools/ubackup.js';
import { load } from '../../examples/varasto/database.mjs';
import { type SeededVarasto, seed } from '../../examples/varasto/seed.mjs';
import { reportOf } from '../../src/client/follow.js';
import type { Report } from '../../src/core/report.js';
import { createLab, type Lab } from '../support/lab.js';
import { approve, runPlain, startPlain } from '../support/lab-runs.js';
import { eventually, freePort, lives } from '../support/toy.js';
import { rsaPair, STO } from '../support/varasto-site.js';

/*
 * Varasto on a real server: its export in µbackup's format, and in an archive to a key that is elsewhere. The application is
 * the stand-in of examples/varasto: a process that answers over TLS, and a database file that it holds locked.
 */

const pair = rsaPair();
const port = await freePort();
const recipient = await identityToRecipient(await generateX25519Identity());
const told: { event: string; said: string }[] = [];
let hook: Server;
let varasto: SeededVarasto;
let app = '';
const opened = await createLab({
  configure: (config, { dir }) => {
    app = join(dir, 'program');
    varasto = seed({ dir: join(dir, 'varasto'), files: 2, kb: 8 });
    const { root } = varasto;
    const [ca, token] = [join(root, 'tls.crt'), { file: join(root, 'token') }];
    const url = `https://localhost:${port}/api_v2/database/export`;
    const env = { STO_PORT: String(port), STO_PID_FILE: join(dir, 'sto.pid'), PATH: process.env.PATH ?? '' };
    const asks = `require('https').get({host:'localhost',port:${port},path:'/api_v2/health',ca:require('fs').readFileSync('${ca}')},(a)=>process.exit(a.statusCode===200?0:1)).on('error',()=>process.exit(1))`;
    config.notify = { ops: { webhook: { file: join(dir, 'hook') }, on: ['failed', 'partial'] } };
    config.repositories = {
      bucket: {
        ...{ engine: 'ubackup', location: join(dir, 'repositories/bucket'), recipients: [pair.publicKey] },
        identity: { file: join(dir, 'backups.key') },
      },
      locked: { engine: 'archive', location: join(dir, 'repositories/locked'), recipients: [recipient] },
    };
    config.sites = {
      files: {
        ...{ app: 'varasto', root, repositories: ['bucket', 'locked'], limits: { reserve: '10MB' }, notify: ['ops'] },
        service: {
          name: 'varasto',
          process: {
            ...{ pidFile: join(dir, 'sto.pid'), signal: 'SIGTERM' },
            start: { argv: [join(app, 'sto'), 'server'], cwd: root, env },
          },
        },
        health: { command: [process.execPath, '-e', asks] },
        options: { url, ca, token, leaveOut: ['volumes', 'token', 'tls.crt'] },
        restoreTest: { scratch: join(dir, 'scratch'), boot: true, sample: '1/1' },
      },
    };
  },
});
const skip = typeof opened === 'string' ? opened : false;
const lab = opened as Lab;
const opts = { skip };

const pid = () => (existsSync(join(lab.dir, 'sto.pid')) ? Number(readFileSync(join(lab.dir, 'sto.pid'), 'utf8')) : 0);

function ask(path: string, body?: string): Promise<{ status: number; text: string }> {
  const headers = { authorization: `Bearer ${varasto.token}` };
  const ca = readFileSync(join(varasto.root, 'tls.crt'));
  return new Promise((resolve, reject) => {
    const sent = request({ host: 'localhost', port, path, ca, headers, method: body ? 'POST' : 'GET', agent: false });
    sent.on('error', reject);
    sent.on('response', async (answer) =>
      resolve({ status: answer.statusCode ?? 0, text: (await buffer(answer)).toString() }),
    );
    sent.end(body);
  });
}

const sorted = (text: string) => text.split('\n').sort();
const exported = async () => sorted((await ask('/api_v2/database/export')).text);
const healthy = () =>
  eventually('varasto answers', 60_000, () =>
    ask('/api_v2/health').then(
      ({ status }) => status === 200,
      () => false,
    ),
  );
const start = async () => {
  const env = { ...process.env, STO_PORT: String(port), STO_PID_FILE: join(lab.dir, 'sto.pid') };
  spawn(join(app, 'sto'), ['server'], { cwd: varasto.root, env, detached: true, stdio: 'ignore' }).unref();
  await healthy();
};
const stop = async () => {
  const running = pid();
  if (!running || !lives(running)) return;
  process.kill(running, 'SIGTERM');
  await eventually('varasto has ended', 60_000, () => !lives(running));
};

before(async () => {
  if (skip) return;
  // A copy that nobody else can write: Holdfast starts no program that others can change.
  await mkdir(app, { mode: 0o755 });
  for (const name of ['sto', 'sto.mjs', 'database.mjs', 'bolt.mjs']) await cp(join(STO, name), join(app, name));
  execFileSync('chmod', ['-R', 'go-w', app]);
  await writeFile(join(lab.dir, 'backups.key'), pair.privateKey, { mode: 0o600 });
  hook = createHook((asked, answer) => {
    buffer(asked).then((body) => told.push(JSON.parse(body.toString())));
    answer.end();
  }).listen(0, '127.0.0.1');
  await new Promise((done) => hook.once('listening', done));
  const { port: at } = hook.address() as AddressInfo;
  await writeFile(join(lab.dir, 'hook'), `http://127.0.0.1:${at}/`, { mode: 0o600 });
  const path = { PATH: `${app}:${process.env.PATH}` };
  await Promise.all([lab.startWatchdog().then(() => lab.startWorker(path)), start()]);
});
after(async () => {
  if (skip) return;
  await stop();
  hook.close();
  await lab.end();
});

const levels = (report: Report) => report.repositories.map(({ repository, level }) => [repository, level]);
const bucket = () => join(lab.dir, 'repositories/bucket');

test('an online backup: in µbackup’s format, and stored to a key that is elsewhere', opts, async () => {
  const [running, before] = [pid(), await exported()];
  const report = await runPlain(lab, 'backup', { site: 'files' });
  assert.equal(report.outcome, 'completed', report.said);
  assert.deepEqual(levels(report), [
    ['bucket', 'verified'],
    ['locked', 'stored'],
  ]);
  assert.equal(report.downtimeMs, undefined);
  assert.equal(pid(), running, 'never stopped');
  assert.match(report.steps.find(({ step }) => step === 'dump')?.said ?? '', /^copied varasto, .*fully consistent/);
  assert.deepEqual(report.uncovered, []);
  const [object = ''] = readdirSync(join(bucket(), 'varasto'));
  assert.match(object, /^\d{4}-\d\d-\d\d \d{4}Z_local_\d\d-.*\.gz\.aes$/);
  const sealed = Readable.from([readFileSync(join(bucket(), 'varasto', object))]);
  assert.deepEqual(sorted((await buffer(unseal(sealed, pair.privateKey))).toString()), before);
  const listed = await lab.holdfast(['snapshots', 'files', '--config', lab.configPath]);
  assert.match(listed.out, /bucket .*verified .*regular, fully consistent/);
  assert.match(listed.out, /locked .*stored .*regular, fully consistent/);
  // Nothing of the export lies in clear where it was stored, nor is left in the staging area for others to read.
  const found = execFileSync('sh', [
    '-c',
    `grep -rl "$1" "$2" || true`,
    'sh',
    varasto.token,
    join(lab.dir, 'repositories'),
  ]);
  assert.equal(found.toString(), '');
});

test('a restore test proves it: imported, started in isolation, exported again, and its blobs read', opts, async () => {
  const report = await runPlain(lab, 'restoreTest', { site: 'files', repository: 'bucket' });
  assert.equal(report.outcome, 'completed', report.said);
  const checks = report.proof?.checks ?? [];
  const evidence = (name: string) => checks.find((check) => check.name === name)?.evidence ?? '';
  assert.match(evidence('keys'), /keys of collections open/);
  assert.match(evidence('blobs'), /decrypted and hashed/);
  if (process.getuid?.() === 0) assert.match(evidence('boot: exported again'), /the same in all 12 sections/);
  assert.equal(report.proof?.outcome, 'proven');
});

test('destroyed and restored, into a directory and in place', opts, async () => {
  const before = await exported();
  assert.equal((await ask('/command/directory.Create', '{"Parent":"root","Name":"later"}')).status, 200);
  assert.notDeepEqual(await exported(), before);
  await stop();
  await rm(join(varasto.root, 'varasto.db'));
  const aside = await runPlain(lab, 'restore', { site: 'files', target: 'copy', repository: 'bucket' });
  assert.equal(aside.outcome, 'completed', aside.said);
  const copy = join(lab.restored, 'copy');
  assert.equal(load(join(copy, 'varasto.db')).Directory?.length, 1);
  assert.deepEqual(readFileSync(join(copy, 'config.json')), readFileSync(join(varasto.root, 'config.json')));

  const handle = await startPlain(lab, 'restore', { site: 'files', repository: 'bucket' });
  assert.match(await approve(handle, 'files'), /goes ahead/);
  const report = await reportOf(handle);
  assert.equal(report.outcome, 'completed', report.said);
  if (!lives(pid())) await start();
  await healthy();
  assert.deepEqual(await exported(), before);
});

test('the file while Varasto is stopped, under its own lock, and proven', opts, async () => {
  const undo = await lab.configure(({ sites }) => {
    const { leaveOut } = sites.files.options;
    sites.files.options = { take: 'stopped', leaveOut };
  });
  const report = await runPlain(lab, 'backup', { site: 'files', repositories: ['bucket'] });
  await healthy();
  const proof = await runPlain(lab, 'restoreTest', { site: 'files', repository: 'bucket' });
  await undo();
  assert.equal(report.outcome, 'completed', report.said);
  assert.ok(report.downtimeMs, 'it was down');
  assert.match(report.steps.find(({ step }) => step === 'dump')?.said ?? '', /fully consistent/);
  assert.equal(proof.proof?.outcome, 'proven', proof.said);
  assert.match(JSON.stringify(proof.proof?.checks), /it loads, and was read through/);
});

test('an upload that fails is told, and the other repository has its copy', opts, async () => {
  const mark = join(bucket(), 'holdfast-ubackup.json');
  const kept = readFileSync(mark);
  await rm(mark);
  const report = await runPlain(lab, 'backup', { site: 'files' });
  await writeFile(mark, kept);
  assert.equal(report.outcome, 'partial', report.said);
  assert.deepEqual(
    report.failures.map(({ repository, type }) => [repository, type]),
    [['bucket', 'RepositoryMissing']],
  );
  assert.match(await alarm('partial'), /files/);
});

test('a token that is refused fails the backup, tells it, and stores nothing', opts, async () => {
  const objects = readdirSync(join(bucket(), 'varasto'));
  const token = join(varasto.root, 'token');
  await writeFile(token, 'revoked-token');
  const report = await runPlain(lab, 'backup', { site: 'files' }).catch((error: Error) => error);
  await writeFile(token, varasto.token);
  assert.match(String((report as Report).said ?? report), /answered 403/);
  assert.match(await alarm('failed'), /403/);
  assert.deepEqual(readdirSync(join(bucket(), 'varasto')), objects);
});

async function alarm(event: string): Promise<string> {
  await eventually(`the alarm ${event}`, 60_000, () => told.some((each) => each.event === event));
  return JSON.stringify(told.find((each) => each.event === event));
}
