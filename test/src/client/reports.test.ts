import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { mergeReports, readSite } from '../../../src/client/reports.js';
import { aBackup, aProof } from './support/reports.js';

let dir: string;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'holdfast-reports-'));
});
after(() => rm(dir, { recursive: true, force: true }));

const put = async (path: string, content: unknown) => {
  await mkdir(join(dir, path, '..'), { recursive: true });
  await writeFile(join(dir, path), typeof content === 'string' ? content : JSON.stringify(content));
};

test('a site that was never here has nothing, and that is no fault', async () => {
  assert.deepEqual(await readSite(dir, 'none'), { reports: [], proofs: [], aside: [], unreadable: [] });
});

test('reports, proofs, record and what was put aside, in the order of time', async () => {
  await put('reports/cms/b.json', aBackup('cms', '2026-11-20T02:00:00Z'));
  await put('reports/cms/a.json', aBackup('cms', '2026-11-21T02:00:00Z'));
  await put('proofs/cms/p.json', aProof('cms', '2026-11-09T04:00:00Z'));
  await put('sites/cms/record.json', {
    schema: 1,
    phase: 'revoked',
    downAt: '2026-11-21T08:00:00Z',
    revokedFor: 'the worker died',
    holder: { workflowId: 'backup-cms-x' },
  });
  const [kept, gone] = [join(dir, 'cms.before'), join(dir, 'cms.gone')];
  await mkdir(kept);
  const at = '2026-11-20T10:00:00Z';
  await put(
    'sites/cms/aside.json',
    [kept, gone].map((path) => ({ path, at, snapshot: 'abc' })),
  );
  const state = await readSite(dir, 'cms');
  assert.deepEqual(
    state.reports.map(({ startedAt }) => startedAt),
    ['2026-11-20T02:00:00Z', '2026-11-21T02:00:00Z'],
  );
  assert.equal(state.proofs.length, 1);
  assert.deepEqual(state.record, {
    phase: 'revoked',
    downAt: '2026-11-21T08:00:00Z',
    revokedFor: 'the worker died',
    holder: 'backup-cms-x',
  });
  assert.deepEqual(
    state.aside.map(({ path }) => path),
    [kept],
    'one that somebody removed is not shown',
  );
  assert.deepEqual(state.unreadable, []);
});

test('what cannot be read is named, never passed over', async () => {
  await put('reports/bad/half.json', '{"schemaVersion": 1, "work');
  await put('reports/bad/other.json', { schemaVersion: 99 });
  await put('reports/bad/good.json', aBackup('bad', '2026-11-20T02:00:00Z'));
  await put('sites/bad/record.json', 'garbage');
  const { reports, unreadable } = await readSite(dir, 'bad');
  assert.equal(reports.length, 1);
  assert.deepEqual(unreadable.map((path) => path.slice(dir.length + 1)).sort(), [
    'reports/bad/half.json',
    'reports/bad/other.json',
    'sites/bad/record.json',
  ]);
});

test('one run from two sources is one report: the finished one', () => {
  const { endedAt: _, ...open } = aBackup('cms', '2026-11-20T02:00:00Z');
  const done = aBackup('cms', '2026-11-20T02:00:00Z');
  assert.deepEqual(mergeReports([open], [done]), [done]);
  assert.deepEqual(mergeReports([done], [open]), [done]);
});
