import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { noteAside, readAsides } from '../../../activities/aside.js';
import { openState } from '../../../activities/site/state.js';
import { register as guard } from '../../../src/cli/guard.js';
import { register as release } from '../../../src/cli/release.js';
import { runCommand } from '../../support/config-cli.js';

async function place() {
  const cwd = await mkdtemp(join(tmpdir(), 'holdfast-guard-cli-'));
  await mkdir(join(cwd, 'site'));
  const operations = {
    update: { run: ['/bin/true'], touches: ['files'], timeout: '5m' },
    live: { run: ['/bin/true'], writes: 'open', check: { http: 'http://127.0.0.1:1/' } },
  };
  const options = {
    files: [
      { name: 'files', path: 'data' },
      { name: 'media', path: 'media', change: 'immutable' },
    ],
  };
  const site = { app: 'generic', root: 'site', service: 'none', repositories: ['nas'], options, operations };
  const config = { version: 1, repositories: { nas: { engine: 'archive', location: 'nas' } }, sites: { cms: site } };
  await writeFile(join(cwd, 'holdfast.yaml'), JSON.stringify(config), { mode: 0o600 });
  return { cwd, env: { ...process.env, HOLDFAST_STATE_DIR: join(cwd, 'state') } };
}

test('guard --dry-run says what would be done and brought back, and starts nothing', async () => {
  const where = await place();
  const held = await runCommand(guard, ['guard', 'cms', 'update', '--dry-run'], where);
  assert.equal(held.code, 0, held.err);
  assert.match(held.out, /operation +\/bin\/true, ended after 5m\n/);
  assert.match(
    held.out,
    /on failure +rolled back before the application starts\n +back comes +files\n +stays +media\n/,
  );
  const open = await runCommand(guard, ['guard', 'cms', 'live', '--dry-run', '--json'], where);
  const told = JSON.parse(open.out);
  assert.deepEqual([told.writes, told.rolledBack, told.linked], ['open', ['files', 'media'], ['media']]);
  const unknown = await runCommand(guard, ['guard', 'cms', 'upgrade', '--dry-run'], where);
  assert.equal(unknown.code, 2);
  assert.match(unknown.err, /no operation upgrade; known: update, live/);
});

test('release --drop-aside shows what is kept, and removes it where the site is repeated', async () => {
  const where = await place();
  const state = await openState(where.env.HOLDFAST_STATE_DIR);
  const path = join(where.cwd, '.site.rolled-back-1');
  const drop = ['release', 'cms', '--drop-aside'];
  await noteAside(state, 'cms', { path, at: new Date().toISOString(), snapshot: 'x', kind: 'rolled-back' });
  assert.match((await runCommand(release, drop, where)).out, /nothing of cms is put aside/);
  await mkdir(path);
  const asked = await runCommand(release, drop, where);
  assert.equal(asked.code, 5);
  assert.match(asked.out, /rolled-back-1[\s\S]*--drop-aside --confirm cms/);
  assert.equal((await runCommand(release, [...drop, '--confirm', 'wiki'], where)).code, 2);
  assert.ok(existsSync(path));
  assert.equal((await runCommand(release, [...drop, '--confirm', 'cms'], where)).code, 0);
  assert.ok(!existsSync(path));
  assert.deepEqual(await readAsides(state, 'cms'), []);
});
