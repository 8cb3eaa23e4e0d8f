import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { httpDatabase } from '../../../activities/databases/http.js';
import { mustBeMade } from '../../../activities/steps/exchanges.js';
import { readBolt } from '../../../activities/tools/bolt.js';
import { exportText, noRecords } from '../../../examples/varasto/database.mjs';
import { type FailureType, isFailure } from '../../../src/core/failures.js';
import { databaseSuite } from '../../conformance/database-suite.js';
import { manifestOf } from '../../conformance/engine-fixture.js';
import { testContext } from '../../support/context.js';
import {
  type HttpSpec,
  NO_VARASTO_FIXTURES,
  STO,
  type StandIn,
  standIn,
  unpackFixtures,
} from '../../support/varasto-site.js';

let dir = '';
let server: StandIn;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'holdfast-http-'));
  server = await standIn(join(dir, 'site'));
});
after(async () => {
  await server.end();
  await rm(dir, { recursive: true, force: true });
});

const scratch = () => mkdtemp(join(dir, 'x-'));
const failsAs = (type: FailureType, words: RegExp) => (error: Error) => {
  assert.ok(isFailure(error, type), `expected ${type}, got ${error}`);
  assert.match(error.message, words);
  return true;
};

const directories = (count: number) =>
  Array.from({ length: count }, (_, i) =>
    i === 0 ? { ID: 'root', Parent: '', Name: 'root' } : { ID: `d${i}`, Parent: 'root', Name: `directory ${i}` },
  );

databaseSuite<HttpSpec>('http (varasto)', {
  database: httpDatabase,
  forms: [{ format: 'varasto', mode: 'online' }],
  notes: 'Directory',
  async make(_dir, rows) {
    server.site.records.Directory = directories(rows);
    return { spec: server.spec, stop: async () => {} };
  },
  missing: () => ({ ...server.spec, url: server.spec.url.replace('/api_v2/database/export', '/nowhere') }),
  async empty() {
    return { ...server.spec, url: server.spec.url.replace('/export', '/empty') };
  },
});

test('an export is taken whole or not at all, by its token, and says so with the place', async () => {
  const ctx = await testContext();
  const take = async (more: Partial<HttpSpec> = {}, broken: StandIn['broken'] = {}) => {
    Object.assign(server.broken, { body: undefined, afterBytes: undefined, status: undefined }, broken);
    const into = await scratch();
    try {
      return { into, dumped: await httpDatabase.dump({ ...server.spec, ...more }, into, undefined, ctx) };
    } finally {
      Object.assign(server.broken, { body: undefined, afterBytes: undefined, status: undefined });
      if (!existsSync(join(into, 'varasto.export'))) assert.deepEqual(await readdir(into), [], 'nothing half is left');
    }
  };
  const { dumped, into } = await take();
  assert.equal(statSync(join(into, dumped.file)).mode & 0o777, 0o600);
  assert.equal(dumped.consistency, 'full');
  assert.equal((await take()).dumped.fingerprint.contentSha256, dumped.fingerprint.contentSha256, 'in any order');

  const wrong = join(dir, 'wrong');
  await writeFile(wrong, 'not-the-token');
  await assert.rejects(take({ token: { file: wrong } }), failsAs('DatabaseDenied', /answered 403/));
  const { ca: _, ...untrusted } = server.spec;
  const bare = await scratch();
  await assert.rejects(httpDatabase.dump(untrusted, bare, undefined, ctx), failsAs('InvalidConfig', /certificate/));
  const gone = server.spec.url.replace(/:\d+/, ':1');
  await assert.rejects(take({ url: gone }), failsAs('DatabaseUnreachable', /ECONNREFUSED/));
  const other = server.spec.url.replace('localhost', '127.0.0.1');
  await assert.rejects(take({ url: other }), failsAs('InvalidConfig', /for another name than its address/));
  await writeFile(wrong, 'two\nlines');
  await assert.rejects(take({ token: { file: wrong } }), failsAs('InvalidConfig', /more than one line/));
  const plain = createServer((_, answer) => answer.end('hello')).listen(0, '127.0.0.1');
  await once(plain, 'listening');
  const port = (plain.address() as AddressInfo).port;
  await assert.rejects(
    take({ url: `https://127.0.0.1:${port}/` }),
    failsAs('DatabaseUnreachable', /does not speak as its address says/),
  );
  plain.close();
  await assert.rejects(take({}, { status: 503 }), failsAs('DatabaseUnreachable', /answered 503/));
  await assert.rejects(take({}, { afterBytes: 2000 }), failsAs('DumpIncomplete', /broke off/));

  const spoiled: [(text: string) => string, FailureType, RegExp][] = [
    [() => '', 'DumpEmpty', /empty/],
    [() => '<html>hello</html>\n', 'DumpIncomplete', /line 1 is not the head/],
    [(text) => text.slice(0, -3), 'DumpIncomplete', /line \d+ is cut/],
    [(text) => text.slice(0, text.lastIndexOf('\n# ') + 1), 'DumpIncomplete', /section \w+ is missing/],
    [(text) => text.replace('\n# Volume\n', '\n# Wolume\n'), 'DumpIncomplete', /line \d+: a section that is not/],
    [(text) => text.replace('"Name":', '"Name"'), 'DumpIncomplete', /line \d+ \(\w+\) is no JSON/],
    [(text) => text.replace(/\n\{"ID":"[^\n]*"Changesets"[^\n]*/, ''), 'DumpIncomplete', /has 3 files.* lists 6/],
  ];
  for (const [body, type, words] of spoiled) await assert.rejects(take({}, { body }), failsAs(type, words));

  // Cut at the end of a line, and whole as an answer: what else refers to it tells.
  for (const section of ['Blob', 'Node', 'KeyEncryptionKey', 'Volume'])
    await assert.rejects(
      take({}, { body: (text) => endingIn(text, section, true) }),
      failsAs('DumpIncomplete', /was cut: it lacks/),
    );
  const [volume] = server.site.records.Volume?.splice(0, 1) ?? [];
  await take();
  server.site.records.Volume?.unshift(volume);
  assert.match(ctx.notes.at(-1) ?? '', /own data refer to a record that is not there \(Volume 1\)/);

  const said = JSON.stringify([ctx.notes, await ctx.logText()]);
  assert.ok(!said.includes(server.site.token));
});

/** The export with the given section at its end, as Varasto's own order may have it; `cut` takes that section's last record away. */
function endingIn(text: string, section: string, cut = false): string {
  const [, part = ''] = new RegExp(`(\\n# ${section}\\n[^#]*?)(?=\\n# |$)`).exec(text) ?? [];
  return text.replace(part, '') + (cut ? part.slice(0, part.lastIndexOf('\n', part.length - 2) + 1) : part);
}

test('a change between the lists and the export is no damage: it is taken again', async () => {
  const ctx = await testContext();
  const { Collection = [] } = server.site.records;
  const changedMeanwhile = async (firstEndsIn: string) => {
    const before = server.exports();
    let changed = false;
    server.broken.body = (text) => {
      if (changed) return endingIn(text, 'Config');
      changed = true;
      Collection.push({ ...Collection[0], ID: 'another' });
      return endingIn(text, firstEndsIn);
    };
    const dumped = await httpDatabase.dump(server.spec, await scratch(), undefined, ctx);
    Object.assign(server.broken, { body: undefined });
    Collection.pop();
    assert.ok(server.exports() >= before + 2);
    return dumped.fingerprint.tables.Collection;
  };
  // What was exported is the state before the change, and its list agrees with it: it is only compared with another one.
  assert.equal(await changedMeanwhile('Volume'), 2);
  // The other one has a record more in the section that may have been cut: the state after the change is taken.
  assert.equal(await changedMeanwhile('Collection'), 3);
});

test('what nothing refers to, mounts and jobs, is counted in a second export: one that was cut there is taken again', async () => {
  const ctx = await testContext();
  const { VolumeMount = [], ScheduledJob = [] } = server.site.records;
  const take = async (body: (text: string, n: number) => string) => {
    let n = 0;
    server.broken.body = (text) => body(text, ++n);
    try {
      return (await httpDatabase.dump(server.spec, await scratch(), undefined, ctx)).fingerprint.tables;
    } finally {
      server.broken.body = undefined;
    }
  };
  const once = await take((text, n) => (n === 1 ? endingIn(text, 'VolumeMount', true) : text));
  assert.equal(once.VolumeMount, VolumeMount.length);
  const always = take((text, n) => endingIn(text, n % 2 === 1 ? 'ScheduledJob' : 'Node', n % 2 === 1));
  const told = `was cut: it has ${ScheduledJob.length - 1} records of ScheduledJob, another one ${ScheduledJob.length}`;
  await assert.rejects(always, failsAs('DumpIncomplete', RegExp(told)));
  await take((text) => endingIn(text, 'Config'));
  assert.match(ctx.notes.at(-1) ?? '', /each export of varasto ends with Config/);
  const broken = take((text, n) => (n === 1 ? text : text.slice(0, -3)));
  await assert.rejects(broken, failsAs('DumpIncomplete', /a second export of varasto, to compare with, is not whole/));
});

test('any text: by its lines, its end, and the bytes themselves', async () => {
  const ctx = await testContext();
  let body = 'one\ntwo\n-- end\n';
  const plain = createServer((_, answer) => answer.end(body)).listen(0, '127.0.0.1');
  await new Promise((done) => plain.once('listening', done));
  const url = `http://127.0.0.1:${(plain.address() as AddressInfo).port}/dump`;
  const spec: HttpSpec = { kind: 'http', name: 'notes', mode: 'online', url, format: 'text', ends: '-- end' };
  try {
    const into = await scratch();
    const dumped = await httpDatabase.dump(spec, into, undefined, ctx);
    assert.deepEqual(dumped.fingerprint.tables, { lines: 3 });
    const target = join(into, 'loaded');
    assert.deepEqual(await httpDatabase.load(join(into, dumped.file), 'text', target, ctx), dumped.fingerprint);
    assert.equal(readFileSync(target, 'utf8'), body);
    for (const cut of ['one\ntwo\n', 'one\n-- en', '-- end\ntwo\n', 'x-- end\n']) {
      body = cut;
      const error = failsAs('DumpIncomplete', /does not end with the line -- end/);
      await assert.rejects(httpDatabase.dump(spec, into, undefined, ctx), error, cut);
    }
  } finally {
    plain.close();
  }
});

test('with sto an export is imported into a new database and counted; what sto swallows is found', async (t) => {
  const path = process.env.PATH;
  process.env.PATH = `${STO}:${path}`;
  t.after(() => {
    process.env.PATH = path;
  });
  const ctx = await testContext();
  const into = await scratch();
  const { file, fingerprint } = await httpDatabase.dump(server.spec, into, undefined, ctx);
  const target = join(into, 'restored/varasto.db');
  await mkdir(join(into, 'restored'));
  await writeFile(target, 'what an earlier attempt left');
  assert.deepEqual(await httpDatabase.load(join(into, file), 'varasto', target, ctx), fingerprint);
  assert.equal((await readBolt(target)).buckets.collections, fingerprint.tables.Collection);
  assert.deepEqual(await readdir(join(into, 'restored')), ['varasto.db'], 'nothing else is left there');
  // Two records with one key: twelve good sections, and a database that holds less than the export says.
  const twice = exportText({ ...noRecords(), Directory: [...directories(2), ...directories(1)] });
  await writeFile(join(into, 'twice'), twice);
  await assert.rejects(
    httpDatabase.load(join(into, 'twice'), 'varasto', target, ctx),
    failsAs('DumpIncomplete', /another number of records: Directory/),
  );
});

test('the real export: its counts, and the known answer of its sorted lines', {
  skip: NO_VARASTO_FIXTURES,
}, async () => {
  const ctx = await testContext();
  const fixtures = await unpackFixtures();
  try {
    const file = join(fixtures, 'export.log');
    const { tables, contentSha256, userVersion } = await httpDatabase.inspect(file, 'varasto', ctx);
    assert.equal(contentSha256, '2aa6553373513ff79adbde27d6110981ee03dbd782bdd810173f6611e30cb2e6');
    assert.equal(userVersion, 6);
    assert.deepEqual(tables, {
      ...{ Blob: 7, Client: 2, Collection: 2, Config: 4, Directory: 3, IntegrityVerificationJob: 0 },
      ...{ KeyEncryptionKey: 1, Node: 1, ReplicationPolicy: 1, ScheduledJob: 3, Volume: 2, VolumeMount: 2 },
    });
    const lines = execFileSync('sh', ['-c', 'LC_ALL=C sort export.log | sha256sum'], {
      cwd: fixtures,
      encoding: 'utf8',
    });
    assert.ok(lines.startsWith(contentSha256 ?? ''));
    // Cut after a line: what the application's own import takes with exit code 0.
    const text = readFileSync(file, 'utf8');
    await copyFile(file, `${file}.cut`);
    await writeFile(`${file}.cut`, text.slice(0, text.indexOf('\n', text.length / 2) + 1));
    await assert.rejects(httpDatabase.inspect(`${file}.cut`, 'varasto', ctx), failsAs('DumpIncomplete', /missing/));
  } finally {
    await rm(fixtures, { recursive: true });
  }
});

test('without sto the export lies beside, and a restore in place is refused before anything stops', async () => {
  const ctx = await testContext();
  const into = await scratch();
  const { file, bytes, sha256, fingerprint } = await httpDatabase.dump(server.spec, into, undefined, ctx);
  const [root, site] = ['/srv/varasto', join(into, 'site')];
  await mkdir(site);
  await httpDatabase.load(join(into, file), 'varasto', join(site, 'varasto.db'), ctx);
  assert.deepEqual(readFileSync(join(site, 'varasto.db.export')), readFileSync(join(into, file)));
  assert.match(ctx.notes.join(), /sto is not installed here/);
  const entry = { name: 'varasto', kind: 'http', format: 'varasto', file, bytes, sha256, fingerprint };
  const manifest = manifestOf('/staging', { root, databases: [{ ...entry, path: join(root, 'varasto.db') }] });
  await assert.rejects(mustBeMade(manifest, site, undefined, ctx), failsAs('RestoreRefused', /could not be imported/));
  await mustBeMade(manifest, site, ['config'], ctx);
  await copyFile(join(into, file), join(site, 'varasto.db'));
  await mustBeMade(manifest, site, undefined, ctx);
});
