import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type VarastoOptions, varastoVolumes } from '../../src/apps/varasto.js';
import type { Check } from '../../src/core/report.js';
import type { AppChecks, Context, Restored } from '../contracts.js';
import { NoExport } from '../tools/varasto-export.js';
import { databasesAgainstManifest } from './databases-against-manifest.js';
import { filesAgainstList } from './files-against-list.js';
import { notMade } from './tally.js';
import { blobsCheck } from './varasto-blobs.js';
import { bootVarasto } from './varasto-boot.js';
import { graphOf } from './varasto-graph.js';
import { exportOf } from './varasto-place.js';

const OWN = ['node', 'keys', 'keys of blobs', 'blobs of files', 'volumes of blobs'];

/** Varasto: the export is whole and the one that was taken, its keys open, its files have their blobs, and blobs are what their names say. */
export const varastoChecks: AppChecks = {
  async checks(restored, ctx) {
    const checks = [...(await databasesAgainstManifest(restored, ctx)), ...(await filesAgainstList(restored, ctx))];
    const file = exportOf(restored);
    if (file === undefined) {
      ctx.note('the metadata was taken as a database file: its records were counted, and are not read one by one');
      return checks;
    }
    return [...checks, ...(await ownRules(file, restored, ctx))];
  },

  boot: bootVarasto,
};

async function ownRules(file: string, restored: Restored, ctx: Context): Promise<Check[]> {
  const scratch = join(restored.scratch, 'graph');
  await mkdir(scratch, { recursive: true, mode: 0o700 });
  try {
    const graph = await graphOf(file, scratch, ctx);
    const { captured, others } = varastoVolumes(restored.plan.root, restored.plan.options as VarastoOptions);
    const directories = [...captured.map(restored.relocate), ...others, ...graph.mounts];
    const blobs = await blobsCheck(file, directories, graph, restored.part, ctx);
    return [...graph.checks, ...(blobs ? [blobs] : [])];
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (!(error instanceof NoExport) && code !== 'ENOENT') throw error;
    return OWN.map((name) => notMade(name, error instanceof NoExport ? error.message : 'there is no export'));
  }
}
