import assert from 'node:assert/strict';
import { constants, createPublicKey, generateKeyPairSync, publicEncrypt, randomBytes } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ABOUT } from '../../../activities/capture/arrange.js';
import { sha256Of } from '../../../activities/capture/lines.js';
import { varastoChecks } from '../../../activities/checks/varasto.js';
import type { Restored } from '../../../activities/contracts.js';
import { httpDatabase } from '../../../activities/databases/http.js';
import { blobFile } from '../../../activities/tools/varasto-crypto.js';
import { exportText } from '../../../examples/varasto/database.mjs';
import { type SeededVarasto, seed } from '../../../examples/varasto/seed.mjs';
import { varasto } from '../../../src/apps/varasto.js';
import { Plan } from '../../../src/core/plan.js';
import type { Check } from '../../../src/core/report.js';
import { manifestOf } from '../../conformance/engine-fixture.js';
import { type TestContext, testContext } from '../../support/context.js';
import { NO_VARASTO_FIXTURES, STO, unpackFixtures } from '../../support/varasto-site.js';

const failed = (found: Check[]) => found.filter(({ ok }) => !ok).map(({ name }) => name);
const named = (found: Check[], name: string) => found.find((check) => check.name === name);
const placesOf = (found: Check[], name: string) => named(found, name)?.places?.join('\n') ?? '';

function planOf(root: string, options: Record<string, unknown> = {}): Plan {
  const parsed = varasto.options.parse({ token: { file: join(root, 'token') }, ...options });
  const { databases, fileSets, uncovered } = varasto.plan(
    { root, options: parsed as never },
    { entries: [], volumes: [] },
  );
  return Plan.parse({
    ...{ schema: 1, site: 'files', siteId: 'files', app: 'varasto', host: 'local', root, services: [], databases },
    ...{ fileSets, uncovered, options: parsed, hooks: {}, notify: [], objectives: {}, restore: {}, configText: '' },
    ...{ repositories: [{ name: 'disk', engine: 'archive', location: '/nowhere' }], limits: { downtimeMs: 1 } },
    restoreTest: {},
  });
}

describe('checks of varasto', () => {
  let ctx: TestContext;
  let dir = '';
  let site: SeededVarasto;
  before(async () => {
    ctx = await testContext();
    dir = await mkdtemp(join(tmpdir(), 'holdfast-varasto-checks-'));
    site = seed({ dir: join(dir, 'site'), files: 2, kb: 8 });
  });
  after(() => rm(dir, { recursive: true, force: true }));

  /** A restored tree whose export is `text`, after it was taken as `taken`; `root` is the site on its host. */
  async function restored(taken: string, text = taken, plan = planOf(site.root)): Promise<Restored> {
    const root = await mkdtemp(join(dir, 'restored-'));
    const file = 'databases/varasto/varasto.export';
    const place = join(root, ABOUT, file);
    mkdirSync(join(place, '..'), { recursive: true });
    writeFileSync(place, taken);
    const [fingerprint, sha256] = [await httpDatabase.inspect(place, 'varasto', ctx), await sha256Of(place)];
    writeFileSync(place, text);
    const entry = { name: 'varasto', kind: 'http', format: 'varasto', file, path: join(plan.root, 'varasto.db') };
    const manifest = manifestOf('/staging', {
      root: plan.root,
      databases: [{ ...entry, bytes: Buffer.byteLength(taken), sha256, fingerprint, consistency: 'full' }],
    });
    const scratch = join(root, 'scratch');
    mkdirSync(scratch);
    return {
      ...{ root, manifest, plan, scratch, part: { n: 1, of: 1 } },
      relocate: (path) => join(root, relative(plan.root, path)),
    };
  }
  const check = async (text: string, as?: string) => varastoChecks.checks(await restored(text, as), ctx);
  const withRecords = (change: (records: SeededVarasto['records']) => void) => {
    const records = structuredClone(site.records);
    change(records);
    return exportText(records);
  };

  it('a whole export passes every rule, with evidence, whatever the order of its sections', async () => {
    const found = await check(exportText(site.records));
    assert.deepEqual(failed(found), []);
    assert.match(named(found, 'varasto: rows')?.evidence ?? '', /as in the manifest/);
    assert.match(named(found, 'keys')?.evidence ?? '', /^2 keys of collections open with 1/);
    assert.match(named(found, 'blobs')?.evidence ?? '', /^8 copies with .* decrypted and hashed \(share 1\/1\)/);
    const part = { n: 2, of: 3 };
    const share = await varastoChecks.checks({ ...(await restored(exportText(site.records))), part }, ctx);
    assert.match(named(share, 'blobs')?.evidence ?? '', /^\d copies .* \(share 2\/3\)/);
  });

  it('another node, an orphan reference, an unknown volume, a key that opens nothing: each by its place', async () => {
    const node = await check(exportText(site.records).replace(/"node_id":"[^"]+"/, '"node_id":"zzzz"'));
    assert.deepEqual(failed(node), ['node']);
    assert.match(placesOf(node, 'node'), /head: zzzz/);

    const orphan = await check(withRecords(({ Blob = [] }) => void Blob.shift()));
    assert.deepEqual(failed(orphan), ['blobs of files']);
    assert.match(placesOf(orphan, 'blobs of files'), /"file-0" needs blob [0-9a-f]{12}, which is not recorded/);

    const volume = await check(withRecords(({ Blob = [] }) => (Blob[1].Volumes = [1, 9])));
    assert.deepEqual(failed(volume), ['volumes of blobs']);
    assert.match(placesOf(volume, 'volumes of blobs'), /volume 9 is not known/);

    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = privateKey.export({ type: 'pkcs1', format: 'pem' });
    const key = await check(withRecords(({ KeyEncryptionKey = [] }) => (KeyEncryptionKey[0].PrivateKey = pem)));
    assert.deepEqual(failed(key), ['keys', 'keys of blobs']);
    assert.match(placesOf(key, 'keys'), /no key-encryption key opens its key/);

    // Varasto deletes a collection with its keys, and keeps its blobs: nobody needs them.
    const deleted = await check(withRecords(({ Collection = [] }) => void Collection.shift()));
    assert.deepEqual(failed(deleted), []);
    assert.match(ctx.notes.at(-1) ?? '', /^\d blobs have no key that opens/);

    // A key that opens, and is another one.
    const wrong = await check(
      withRecords(({ Collection = [], KeyEncryptionKey = [] }) => {
        const slot = Collection[0].EncryptionKeys[0].slots[0];
        const kek = createPublicKey(KeyEncryptionKey[0].PublicKey);
        const padding = constants.RSA_PKCS1_OAEP_PADDING;
        slot.key_encrypted = publicEncrypt({ key: kek, padding, oaepHash: 'sha256' }, randomBytes(32)).toString(
          'base64',
        );
      }),
    );
    assert.deepEqual(failed(wrong), ['blobs']);
    assert.match(placesOf(wrong, 'blobs'), /another key|not what its name says/);
  });

  it('a damaged, a short and a missing blob are named; another disk at its place is not read', async () => {
    const text = exportText(site.records);
    const [first, second] = site.volumes as [string, string];
    const blobs = site.records.Blob ?? [];
    const place = (n: number) => blobFile(Buffer.from(blobs[n].Ref, 'base64'));
    const keep = join(dir, 'kept');
    cpSync(first, keep, { recursive: true });
    const bytes = readFileSync(join(first, place(0)));
    bytes[20]! ^= 1;
    writeFileSync(join(first, place(0)), bytes);
    writeFileSync(join(first, place(1)), readFileSync(join(first, place(1))).subarray(1));
    rmSync(join(first, place(2)));
    const found = await check(text);
    assert.deepEqual(failed(found), ['blobs']);
    for (const [n, words] of ['another checksum', '8191 bytes, not 8192', 'missing'].entries())
      assert.match(placesOf(found, 'blobs'), new RegExp(`${place(n)}: .*${words}`));
    rmSync(first, { recursive: true });
    cpSync(second, first, { recursive: true });
    assert.deepEqual(failed(await check(text)), [], 'the second volume, twice: no copy of the first is here');
    rmSync(first, { recursive: true });
    cpSync(keep, first, { recursive: true });
  });

  it('started in a network of its own without mounts, jobs and uploads, it exports the same again', async (t) => {
    if (process.getuid?.() !== 0) return t.skip('a network namespace takes root');
    const path = process.env.PATH;
    t.after(() => {
      process.env.PATH = path;
    });
    const text = exportText(site.records);
    const whole = await restored(text);
    assert.deepEqual(await varastoChecks.boot?.(whole, ctx), [], 'not without the program');
    assert.match(ctx.notes.at(-1) ?? '', /sto is not installed/);
    process.env.PATH = `${STO}:${path}`;
    const found = (await varastoChecks.boot?.(whole, ctx)) ?? [];
    assert.deepEqual(failed(found), [], JSON.stringify(found));
    assert.match(named(found, 'boot: exported again')?.evidence ?? '', /records, the same in all 12 sections/);
    for (const volume of site.volumes) assert.ok(!existsSync(join(volume, 'written-by-an-instance')), 'never mounted');
    const cut = await restored(text, text.slice(0, text.lastIndexOf('\n# ') + 1));
    assert.deepEqual(failed((await varastoChecks.boot?.(cut, ctx)) ?? []), ['boot: import']);
    const lost = exportText({ ...site.records, Node: [] });
    assert.deepEqual(failed((await varastoChecks.boot?.(await restored(lost), ctx)) ?? []), [
      'boot: health',
      'boot: exported again',
    ]);
  });

  it('the real export and its volumes: every key opens, every blob is what its name says', {
    skip: NO_VARASTO_FIXTURES,
  }, async () => {
    const fixtures = await unpackFixtures();
    try {
      const text = readFileSync(join(fixtures, 'export.log'), 'utf8');
      const mnt = join(fixtures, 'mnt/varasto');
      const blobs = [join(mnt, 'default/varasto-default'), join(mnt, 'second/varasto-second')];
      const found = await varastoChecks.checks(await restored(text, text, planOf(fixtures, { blobs })), ctx);
      assert.deepEqual(failed(found), []);
      assert.match(named(found, 'blobs')?.evidence ?? '', /^14 copies/);
      assert.match(named(found, 'node')?.evidence ?? '', /^node 7AQi/);
      assert.match(named(found, 'blobs of files')?.evidence ?? '', /^8 references/);
      // What its own import takes with exit code 0, and what it would start with.
      const cut = await restored(text, text.slice(0, text.lastIndexOf('\n# ') + 1), planOf(fixtures, { blobs }));
      assert.match(placesOf(await varastoChecks.checks(cut, ctx), 'varasto: integrity'), /section \w+ is missing/);
      const lacking = text.replace(/(\n# ScheduledJob\n)[^\n]*\n/, '$1');
      const job = await varastoChecks.checks(await restored(text, lacking, planOf(fixtures, { blobs })), ctx);
      assert.match(placesOf(job, 'varasto: rows'), /ScheduledJob: 2, not 3/);
    } finally {
      await rm(fixtures, { recursive: true });
    }
  });
});
