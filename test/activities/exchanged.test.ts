import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { dropAside, dropOldAsides, noteAside, readAsides } from '../../activities/aside.js';
import { fenceOf, replayUndo } from '../../activities/site/fence.js';
import { servedOf } from '../../activities/steps/served.js';
import type { MysqlSpec } from '../../activities/tools/mysql.js';
import { findProgram } from '../../activities/tools/programs.js';
import { clearTrees, noteTree } from '../../activities/trees.js';
import { isFailure } from '../../src/core/failures.js';
import type { Manifest } from '../../src/core/manifest.js';
import type { Plan } from '../../src/core/plan.js';
import { testContext } from '../support/context.js';
import { temporary } from '../support/videocms-site.js';

const skip = findProgram('mariadb') ? false : 'no mariadb client on this machine';

/** A database whose server is away. */
const spec: MysqlSpec = {
  ...{ kind: 'mysql', name: 'shop', mode: 'online', format: 'sql', grants: false },
  ...{ schemas: ['shop'], socket: '/nowhere/s', user: 'root' },
};
const tagged = [{ spec, tag: 'run1' }];
const WEEK_MS = 7 * 86_400_000;

describe('what restores exchange in servers', { skip }, () => {
  it('is remembered until it is gone there too: a server that is away is asked again', async () => {
    const ctx = await testContext();
    const { state } = ctx;
    const path = join(temporary(), '.site.before-run1');
    await mkdir(path);
    await noteAside(state, 'cms', { path, at: new Date().toISOString(), snapshot: 's', databases: tagged });
    await dropOldAsides(state, 'cms', ctx);
    assert.ok(existsSync(path), 'a week has not passed');
    await dropOldAsides(state, 'cms', ctx, Date.now() + WEEK_MS + 1000);
    assert.ok(!existsSync(path));
    assert.deepEqual((await readAsides(state, 'cms'))[0]?.databases, tagged);
    await dropAside(state, 'cms', path, ctx);
    assert.equal((await readAsides(state, 'cms')).length, 1);
    const holder = {
      ...{ namespace: 'n', namespaceId: 'n', workflowId: 'w', workflow: 'restore' },
      firstRunId: 'run1',
    };
    const tree = join(temporary(), 'tree');
    await noteTree(state, 'cms', tree, holder, tagged);
    await clearTrees(state, 'cms', holder, ctx);
    assert.match(ctx.notes.join('\n'), /shop: what a restore left in its server stays for now: .*does not answer/);
  });

  it('is taken back before anything starts: without its server nothing is started', async () => {
    const ctx = await testContext({ site: 'cms' });
    const paths = ctx.state.site('cms');
    await writeFile(paths.epoch, '1\n');
    const undo = replayUndo(fenceOf(paths, 1), [{ kind: 'database', spec, tag: 'run1' }], ctx);
    await assert.rejects(undo, (error) => {
      assert.ok(isFailure(error, 'StartFailed'));
      return /shop could not be put back, and nothing is started without it; look whether its server runs/.test(
        error.message,
      );
    });
  });
});

it('a captured database that this host cannot exchange is refused, unless other parts are named', async () => {
  const ctx = await testContext();
  const entry = { name: 'shop', kind: 'mysql', file: 'databases/shop/shop.sql' };
  const manifest = {
    databases: [entry, { name: 'db', kind: 'sqlite', path: '/srv/db', file: 'db' }],
  } as unknown as Manifest;
  const plan = (databases: object[]) => ({ databases, services: [] }) as unknown as Plan;
  assert.deepEqual(servedOf(manifest, '/beside', plan([spec]), undefined, ctx), [
    { spec, file: '/beside/.holdfast/databases/shop/shop.sql' },
  ]);
  assert.throws(() => servedOf(manifest, '/beside', plan([]), undefined, ctx), /no mysql database shop that the dump/);
  assert.deepEqual(servedOf(manifest, '/beside', plan([]), ['db'], ctx), []);
  const exported = { databases: [{ name: 'export', kind: 'http', file: 'x' }] } as unknown as Manifest;
  assert.throws(
    () => servedOf(exported, '/beside', plan([{ kind: 'http', name: 'export' }]), undefined, ctx),
    /export can only be taken in by its application; restore it into a directory/,
  );
});
