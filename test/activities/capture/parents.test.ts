import assert from 'node:assert/strict';
import { chmod, chown, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { likeBefore, parentsOf } from '../../../activities/capture/parents.js';

test('directories that no list has come back with their owner and mode, whatever the umask of the worker', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-parents-'));
  try {
    const [live, made] = [join(dir, 'live site'), join(dir, 'made')];
    await mkdir(join(live, 'vidéos/qualitys'), { recursive: true });
    await mkdir(join(live, 'database'));
    const root = process.getuid?.() === 0;
    for (const [path, mode] of [
      ['', 0o2775],
      ['vidéos', 0o744],
      ['database', 0o1770],
    ] as const) {
      if (root) await chown(join(live, path), 1234, 4321);
      await chmod(join(live, path), mode);
    }
    const outside = join(dir, 'elsewhere/file');
    const found = await parentsOf(live, [join(live, 'database/app.db'), join(live, 'vidéos/qualitys'), outside]);
    assert.deepEqual(
      found.map(({ path }) => path),
      ['', 'database', 'vidéos'],
    );

    await mkdir(join(made, 'vidéos/qualitys'), { recursive: true, mode: 0o700 });
    await likeBefore(made, found);
    for (const path of ['', 'vidéos']) {
      const [was, is] = [await stat(join(live, path)), await stat(join(made, path))];
      assert.deepEqual([is.mode, is.uid, is.gid], [was.mode, was.uid, was.gid], path);
    }
    await assert.rejects(stat(join(made, 'database')), 'what was not restored is not made');
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
