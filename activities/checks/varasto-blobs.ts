import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatBytes } from '../../src/core/durations.js';
import type { Check } from '../../src/core/report.js';
import type { Context, Restored } from '../contracts.js';
import { type BlobRecord, blobFile, blobProblem, DESCRIPTOR } from '../tools/varasto-crypto.js';
import { readExport } from '../tools/varasto-export.js';
import { tally } from './tally.js';
import type { Graph } from './varasto-graph.js';

/**
 * Reads this run's share of the blobs from the volumes that this host can see, and nothing else: size, checksum, decrypted,
 * unpacked, hashed. A directory is a volume by what it says of itself, so another disk at the same place is not read as one.
 */
export async function blobsCheck(
  file: string,
  directories: readonly string[],
  { keys, volumes }: Graph,
  part: Restored['part'],
  ctx: Context,
): Promise<Check | undefined> {
  const places = await volumesIn(directories, volumes);
  if (places.size === 0) {
    ctx.note('no volume of this Varasto can be seen from here: no blob was read; name one as `blobs`');
    return undefined;
  }
  const blobs = tally();
  const seen = { bytes: 0, elsewhere: 0, keyless: 0 };
  await readExport(file, async ({ section, value }) => {
    if (section !== 'Blob') return;
    const blob = value as unknown as BlobRecord;
    const ref = Buffer.from(blob.Ref, 'base64');
    if (ref.readUInt32BE(0) % part.of !== part.n % part.of) return;
    ctx.beat();
    const copies = (blob.Volumes ?? []).flatMap((id) => places.get(id) ?? []);
    if (copies.length === 0) {
      seen.elsewhere++;
      return;
    }
    const key = keys.get(blob.EncryptionKeyID);
    // Of those that files need, the graph tells it; the others were left by a collection that was deleted.
    if (!key) {
      seen.keyless++;
      return;
    }
    for (const volume of copies) {
      const path = join(volume, blobFile(ref));
      const stored = await readFile(path).catch(() => undefined);
      const problem = stored ? blobProblem(stored, blob, key) : 'missing';
      if (problem) blobs.bad(`${path}: ${problem}`);
      else blobs.good();
      seen.bytes += stored?.length ?? 0;
    }
  });
  const elsewhere = seen.elsewhere > 0 ? `; ${seen.elsewhere} others lie on volumes that are not here` : '';
  if (seen.keyless > 0) ctx.note(`${seen.keyless} blobs have no key that opens, and were not read`);
  return blobs.check(
    'blobs',
    (n) => `${n} copies with ${formatBytes(seen.bytes)} decrypted and hashed (share ${part.n}/${part.of})${elsewhere}`,
    (bad, all) => `${bad} of ${all} copies of blobs are not what the metadata says`,
  );
}

/** Volume id → its directories here. */
async function volumesIn(directories: readonly string[], volumes: Graph['volumes']): Promise<Map<number, string[]>> {
  const ids = new Map([...volumes].map(([id, uuid]) => [uuid, id]));
  const found = new Map<number, string[]>();
  for (const directory of new Set(directories)) {
    const text = await readFile(join(directory, DESCRIPTOR), 'utf8').catch(() => '');
    const uuid = /"volume_uuid":\s*"([^"]+)"/.exec(text)?.[1];
    const id = uuid === undefined ? undefined : ids.get(uuid);
    if (id !== undefined) found.set(id, [...(found.get(id) ?? []), directory]);
  }
  return found;
}
