import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import { isFailure } from '../../src/core/failures.js';
import type { Context } from '../contracts.js';
import { type ExportFacts, NoExport, readExport } from '../tools/varasto-export.js';
import { ask, type HttpSpec } from './http-fetch.js';
import { References } from './http-whole.js';

/** What a list says whatever its order: how many lines, and the sum of their hashes. Memory stays flat. */
export interface Witness {
  lines: number;
  sum: bigint;
}

const MODULUS = 1n << 256n;

function add(witness: Witness, line: string): void {
  if (line === '') return;
  witness.lines++;
  const hash = createHash('sha256').update(line).digest('hex');
  witness.sum = (witness.sum + BigInt(`0x${hash}`)) % MODULUS;
}

export const same = (a: Witness, b: Witness): boolean => a.lines === b.lines && a.sum === b.sum;

/**
 * Varasto's own list of files, `<sha256> <path>` each: what an export must hold too, as it says nothing of its own length.
 * Undefined where this Varasto has no such list.
 */
export async function listedFiles(spec: HttpSpec, ctx: Context): Promise<Witness | undefined> {
  const answer = await ask(spec, `${spec.url}_sha256s`, ctx).catch((error) => {
    if (isFailure(error, 'DatabaseMissing')) return undefined;
    throw error;
  });
  if (!answer) return undefined;
  const witness: Witness = { lines: 0, sum: 0n };
  for await (const line of createInterface({ input: answer })) {
    add(witness, line);
    ctx.beat();
  }
  if (!answer.complete) throw ctx.fail('DumpIncomplete', `the list of files of ${spec.name} broke off`);
  return witness;
}

interface Changeset {
  FilesCreated?: { Sha256?: string; Path?: string }[] | null;
  FilesUpdated?: { Sha256?: string; Path?: string }[] | null;
}

/** What an export says when it is read through: the same list, what its records refer to and it lacks, and its last section. */
export interface Held {
  files: Witness;
  lacks?: string;
  last: string;
}

export async function exportedFiles(file: string, ctx: Context): Promise<Held> {
  const files: Witness = { lines: 0, sum: 0n };
  const references = new References(file);
  try {
    const facts = await readExport(file, async (record) => {
      ctx.beat();
      await references.add(record);
      if (record.section !== 'Collection') return;
      // As a reader of the list's lines sees it.
      for (const { FilesCreated, FilesUpdated } of (record.value.Changesets ?? []) as Changeset[])
        for (const { Sha256, Path } of [...(FilesCreated ?? []), ...(FilesUpdated ?? [])])
          for (const line of `${Sha256} ${Path}`.split(/\r?\n|[\r\u2028\u2029]/)) add(files, line);
    });
    const lacks = await references.lacking(facts, ctx);
    return { files, last: facts.last, ...(lacks === undefined ? {} : { lacks }) };
  } finally {
    await references.end();
  }
}

/** Two of so many exports end with another section, by all that chance allows. */
const TRIES_ANOTHER = 6;

/**
 * A cut at a line's end takes records of the section that stands last, and nothing in the text tells (mounts and jobs, which nothing refers
 * to). In another export another section stands last: how many records of `last` that one has, where they are more than `have`.
 */
export async function moreElsewhere(
  spec: HttpSpec,
  last: string,
  have: number,
  ctx: Context,
): Promise<number | undefined> {
  for (let n = 1; n <= TRIES_ANOTHER; n++) {
    const { counts, last: other } = await counted(spec, ctx);
    if (other !== last) return (counts[last] ?? 0) > have ? counts[last] : undefined;
  }
  ctx.note(`each export of ${spec.name} ends with ${last}: whether records of that were cut cannot be told`);
  return undefined;
}

/** What a further export holds; of it nothing is kept. */
async function counted(spec: HttpSpec, ctx: Context): Promise<ExportFacts> {
  const answer = await ask(spec, spec.url, ctx);
  try {
    return await readExport(answer, () => ctx.beat());
  } catch (error) {
    ctx.signal.throwIfAborted();
    const why = error instanceof NoExport ? `is not whole: ${error.message}` : 'broke off';
    throw ctx.fail('DumpIncomplete', `a second export of ${spec.name}, to compare with, ${why}`, { cause: error });
  }
}
