import assert from 'node:assert/strict';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { commandExchange } from '../../../activities/databases/command-exchange.js';
import { openSite } from '../../../activities/site/site.js';
import { readSite } from '../../../src/client/reports.js';
import { DatabaseSpec } from '../../../src/core/plan.js';
import { runWatchdog } from '../../../worker/watchdog.js';
import { testContext } from '../../support/context.js';
import { holderOf } from '../../support/holder.js';

test('nothing starts without a database that cannot be put back: the record says why until it is, and who may look reads it', async (t) => {
  const ctx = await testContext({ site: 'app' });
  const rows = join(await mkdtemp(join(tmpdir(), 'holdfast-rows-')), 'rows');
  await writeFile(rows, 'as it was left');
  const spec = DatabaseSpec.parse({
    ...{ kind: 'command', name: 'ledger', dump: { argv: ['cat', rows] } },
    load: { argv: ['sh', '-c', `cat >${rows}`] },
  });
  assert.ok(spec.kind === 'command');
  const end = new AbortController();
  t.after(() => end.abort());
  const watchdog = runWatchdog({ stateDir: ctx.state.root, signal: end.signal });
  const guard = openSite(ctx.state, 'app', { deadlineMs: 600_000 });
  const holder = holderOf('restore-app');
  await guard.hold(holder);
  const { epoch } = await guard.arm(holder, { services: [], capMs: 600_000 }, ctx);
  // What it would be put back from is not there: as where a server does not answer.
  await guard.addUndo(epoch, [{ kind: 'bringIn', spec, tag: 'a' }], ctx);
  const up = () => guard.ensureUp('recover', { withinMs: 0, why: 'its worker is gone' }, ctx);
  await assert.rejects(
    up(),
    /ledger could not be put back, and nothing is started without it; look whether its server/,
  );
  const { phase, failed } = await guard.read();
  assert.equal(phase, 'revoked');
  assert.match(failed?.said ?? '', /ledger could not be put back.*the watchdog goes on trying/);
  assert.deepEqual((await readSite(ctx.state.root, 'app')).record?.failed?.said.includes('ledger'), true);
  const dump = join(await mkdtemp(join(tmpdir(), 'holdfast-dump-')), 'dump');
  await writeFile(dump, 'as it was before');
  await commandExchange.stage(spec, dump, 'a', ctx);
  await guard.ensureUp('recover', { withinMs: 60_000 }, ctx);
  assert.equal(await readFile(rows, 'utf8'), 'as it was before');
  assert.equal((await guard.read()).failed, undefined);
  end.abort();
  await watchdog;
});

test('several calls of one process bring an application up: one of them works at it, the others watch', async (t) => {
  const ctx = await testContext({ site: 'app' });
  const end = new AbortController();
  t.after(() => end.abort());
  void runWatchdog({ stateDir: ctx.state.root, signal: end.signal });
  const loads = join(await mkdtemp(join(tmpdir(), 'holdfast-loads-')), 'loads');
  const spec = DatabaseSpec.parse({
    ...{ kind: 'command', name: 'ledger', dump: { argv: ['echo', 'as it is'] } },
    load: { argv: ['sh', '-c', `cat >>${loads}`] },
  });
  assert.ok(spec.kind === 'command');
  const dump = join(await mkdtemp(join(tmpdir(), 'holdfast-dump-')), 'dump');
  await writeFile(dump, 'loaded\n');
  const guard = openSite(ctx.state, 'app', { deadlineMs: 600_000 });
  const holder = holderOf('restore-app');
  await guard.hold(holder);
  for (const tag of ['a', 'b', 'c']) {
    const { epoch } = await guard.arm(holder, { services: [], capMs: 600_000 }, ctx);
    await commandExchange.stage(spec, dump, tag, ctx);
    await guard.addUndo(epoch, [{ kind: 'bringIn', spec, tag }], ctx);
    const up = () => guard.ensureUp('recover', { withinMs: 60_000 }, ctx);
    await Promise.all([up(), up(), up(), up()]);
    assert.equal((await guard.read()).epoch, epoch + 1, 'one claim');
  }
  assert.equal(await readFile(loads, 'utf8'), 'loaded\n'.repeat(3));
});
