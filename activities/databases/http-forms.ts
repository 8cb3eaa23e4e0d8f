import { createHash } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Fingerprint } from '../../src/core/manifest.js';
import { sha256Of } from '../capture/lines.js';
import type { Context } from '../contracts.js';
import { fingerprintOf, NoExport, readExport } from '../tools/varasto-export.js';

export type Format = 'text' | 'varasto';

/** Reads an export as it lies and tells what it holds. Throws DatabaseMissing, DumpEmpty, DumpIncomplete with the place. */
export async function fingerprintOfExport(file: string, format: Format, ctx: Context): Promise<Fingerprint> {
  const stats = await stat(file).catch((cause) => {
    throw ctx.fail('DatabaseMissing', `there is no ${file}`, { cause });
  });
  if (stats.size === 0) throw ctx.fail('DumpEmpty', 'the export is empty', { details: { places: [file] } });
  return format === 'text' ? ofText(file, ctx) : ofVarasto(file, ctx);
}

async function ofVarasto(file: string, ctx: Context): Promise<Fingerprint> {
  try {
    const facts = await readExport(file, () => ctx.beat());
    if (facts.tooLong.length > 0)
      ctx.note(`an import would refuse ${facts.tooLong.slice(0, 3).join(', ')}: longer than 8 MiB`);
    return fingerprintOf(facts, await sortedSha256(file, ctx));
  } catch (error) {
    if (!(error instanceof NoExport)) throw error;
    throw ctx.fail('DumpIncomplete', `the export is not whole: ${error.message}`, {
      details: { places: [`${file}: ${error.message}`] },
    });
  }
}

/** That of `LC_ALL=C sort`: equal for two exports of one state. What does not fit into memory is sorted beside the export. */
async function sortedSha256(file: string, ctx: Context): Promise<string> {
  const hash = createHash('sha256');
  await ctx.run('sort', ['--temporary-directory', dirname(file), '--', file], {
    env: { LC_ALL: 'C' },
    onStdout: async (stdout) => {
      for await (const chunk of stdout) {
        hash.update(chunk as Buffer);
        ctx.beat();
      }
    },
  });
  return hash.digest('hex');
}

/** A text of an unknown kind: its lines are counted, and its bytes are what it is known by. */
async function ofText(file: string, ctx: Context): Promise<Fingerprint> {
  let lines = 0;
  const handle = await open(file);
  try {
    for await (const chunk of handle.createReadStream({ autoClose: false })) {
      for (const byte of chunk as Buffer) if (byte === 0x0a) lines++;
      ctx.beat();
    }
  } finally {
    await handle.close();
  }
  return {
    tables: { lines },
    schemaSha256: createHash('sha256').update('text').digest('hex'),
    userVersion: 0,
    contentSha256: await sha256Of(file),
  };
}

/** Throws DumpIncomplete where the last line is not the one that a whole answer ends with. */
export async function endsWith(file: string, ends: string, name: string, ctx: Context): Promise<void> {
  const handle = await open(file);
  try {
    const { size } = await handle.stat();
    const length = Math.min(size, Buffer.byteLength(ends) + 3);
    const { buffer } = await handle.read(Buffer.alloc(length), 0, length, size - length);
    const text = buffer.toString('utf8').replace(/\r?\n$/, '');
    if (text.slice(text.lastIndexOf('\n') + 1) !== ends)
      throw ctx.fail('DumpIncomplete', `the export of ${name} does not end with the line ${ends}`);
  } finally {
    await handle.close();
  }
}
