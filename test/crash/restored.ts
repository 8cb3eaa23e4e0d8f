import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { copyFile, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lab } from '../support/lab.js';
import { fingerprints, rowsOf } from '../support/lab-site.js';

/** What a restore in place finds: a medium is gone, and rows were written since the backup. */
export interface Wreck {
  gone: string;
  kept: string;
  /** Rows that were acknowledged before the restore began. */
  acknowledged: number[];
}

export async function wreck(lab: Lab): Promise<Wreck> {
  const [folder = ''] = readdirSync(lab.site.media).sort();
  const [gone, kept] = [join(lab.site.media, folder), join(lab.dir, 'kept-medium')];
  await rename(gone, kept);
  return { gone, kept, acknowledged: [...lab.site.acknowledged.keys()] };
}

/**
 * Either all of the restored state is there and the state from before lies aside, or all of the state from before is
 * back: never a mixture. Then the lab is made whole for the next case.
 */
export async function checkRestored(lab: Lab, media: string[], wrecked: Wreck, completed: boolean): Promise<void> {
  const restored = existsSync(wrecked.gone);
  if (completed) assert.ok(restored, 'a completed restore brought the medium back');
  const rows = await lab.site.rows();
  assert.deepEqual(
    rows,
    rows.map((_, n) => n + 1),
    'a prefix of the write log',
  );
  if (restored) {
    assert.deepEqual(await fingerprints(lab.site.media), media);
    missingNowhere(wrecked.acknowledged, await asideRows(lab), 'aside');
    await rm(wrecked.kept, { recursive: true });
  } else {
    missingNowhere(wrecked.acknowledged, rows, 'there');
    await rename(wrecked.kept, wrecked.gone);
    assert.deepEqual(await fingerprints(lab.site.media), media);
  }
  // Rows of after the snapshot are not lost, they lie aside; their numbers are given again.
  const live = new Set(await lab.site.rows());
  for (const id of lab.site.acknowledged.keys()) if (!live.has(id)) lab.site.acknowledged.delete(id);
  for (const name of await readdir(lab.dir))
    if (name.startsWith('.site.before-')) await rm(join(lab.dir, name), { recursive: true });
}

function missingNowhere(acknowledged: readonly number[], rows: readonly number[], where: string): void {
  const found = new Set(rows);
  const lost = acknowledged.filter((id) => !found.has(id));
  assert.deepEqual(lost, [], `acknowledged rows that are not ${where}`);
}

/** Rows of the database that was put aside, with its log. */
async function asideRows(lab: Lab): Promise<number[]> {
  const asides = (await readdir(lab.dir)).filter((name) => name.startsWith('.site.before-'));
  const copy = join(lab.dir, 'aside');
  await rm(copy, { recursive: true, force: true });
  await mkdir(copy);
  for (const name of asides) {
    const database = join(lab.dir, name, 'database');
    if (!existsSync(join(database, 'database.sqlite'))) continue;
    for (const file of ['database.sqlite', 'database.sqlite-wal'])
      if (existsSync(join(database, file))) await copyFile(join(database, file), join(copy, file));
  }
  return rowsOf(join(copy, 'database.sqlite'));
}
