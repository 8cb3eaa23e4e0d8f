import { lstat, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Check } from '../../src/core/report.js';
import type { Context, Restored } from '../contracts.js';
import { optionsOf, storageOf } from './seafile-sources.js';

/** What seaf-fsck prints of damage, in old versions too; its exit code is 0 all the same (facts 2.2). */
const DAMAGE =
  /is damaged|is missing|is corrupted|is curropted|can't be repaired|Failed to|doesn't exist|conflicts with/i;
/** It says this of each library that it has looked at. */
const LOOKED = /Fsck finished for repo/i;

/**
 * Runs the restored installation's own seaf-fsck on the restored libraries, without a network and never with --repair. Only where
 * the databases are SQLite files of the restored tree: with MySQL its configuration leads to the live server.
 */
export async function bootSeafile(restored: Restored, ctx: Context): Promise<Check[]> {
  const { plan, manifest, relocate, scratch } = restored;
  const name = 'seaf-fsck';
  const skip = (why: string): Check[] => {
    ctx.note(`seaf-fsck was not run: ${why}`);
    return [];
  };
  if (optionsOf(plan).mysql) return skip('its configuration leads to the live database server');
  const libraries = manifest.fileSets.find((set) => set.name === 'libraries')?.root ?? storageOf(plan);
  const data = relocate(join(libraries, '..'));
  const top = join(data, '..');
  const home = join(top, 'seafile-server-latest/seafile');
  const program = join(home, 'bin/seaf-fsck');
  if (!(await lstat(program).catch(() => undefined))) return skip('this installation has none');
  if (process.getuid?.() !== 0) return skip('a network namespace of its own needs root');
  await mkdir(join(scratch, 'home'), { recursive: true });
  const damage: string[] = [];
  let looked = 0;
  const onLine = (line: string) => {
    ctx.beat();
    if (LOOKED.test(line)) looked++;
    if (DAMAGE.test(line) && damage.length < 20) damage.push(line.replace(/^\[[^\]]*\]\s*/, '').slice(0, 200));
  };
  const { exitCode, stderrTail } = await ctx.run(
    'unshare',
    ['-n', '--', program, '-c', join(top, 'ccnet'), '-d', data, '-F', join(top, 'conf')],
    {
      env: { HOME: join(scratch, 'home'), LD_LIBRARY_PATH: ['lib', 'lib64'].map((dir) => join(home, dir)).join(':') },
      ok: [0, 1, 255],
      onLine,
    },
  );
  if (/^unshare: /m.test(stderrTail)) return skip('this machine allows no namespaces');
  if (damage.length > 0) return [{ name, ok: false, evidence: `it found damage: ${damage[0]}`, places: damage }];
  if (exitCode !== 0 || looked === 0)
    return [{ name, ok: false, evidence: `it looked at no library (exit code ${exitCode})` }];
  return [{ name, ok: true, evidence: `it looked at ${looked} libraries and named no damage` }];
}
