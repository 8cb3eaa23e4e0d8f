import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import { z } from 'zod';
import type { Fingerprint } from '../../src/core/manifest.js';
import type { DatabaseSpec } from '../../src/core/plan.js';
import { sha256Of } from '../capture/lines.js';
import type { Context, Dumped, Fence } from '../contracts.js';
import { runCommand } from '../services/commands.js';
import { writeDurable } from '../site/durable.js';
import { streamFile } from './stream-file.js';

export type CommandSpec = Extract<DatabaseSpec, { kind: 'command' }>;

/** What its owner declared as the proof that an output is whole; it travels beside it, as a restore knows only the file. */
const Proof = z.object({ ends: z.string().optional(), leastBytes: z.number() });
type Proof = z.infer<typeof Proof>;

export const proofOf = (file: string): string => `${file}.proof.json`;

/** Runs the program into a file, and proves it. Throws DumpEmpty, DumpIncomplete. */
export async function dumpCommand(
  spec: CommandSpec,
  target: string,
  fence: Fence | undefined,
  ctx: Context,
): Promise<Dumped> {
  const written = await streamFile(target, ctx, (onStdout) =>
    runCommand(spec.dump, ctx, { onStdout, ...(fence ? { fence } : {}) }),
  );
  if (written.bytes === 0) throw ctx.fail('DumpEmpty', `the dump command of ${spec.name} printed nothing`);
  const proof: Proof = { leastBytes: spec.leastBytes, ...(spec.ends === undefined ? {} : { ends: spec.ends }) };
  await prove(target, proof, ctx);
  await writeDurable(proofOf(target), `${JSON.stringify(proof)}\n`);
  const beside = { file: `${spec.name}.out.proof.json`, ...(await described(proofOf(target))) };
  const fingerprint = printOf(await countLines(createReadStream(target)));
  return { file: `${spec.name}.out`, bytes: written.bytes, sha256: written.sha256, fingerprint, also: [beside] };
}

/** The declared proof again, of the file as it lies. Throws DatabaseMissing, DumpIncomplete. */
export async function checked(file: string, _format: string, ctx: Context): Promise<Fingerprint> {
  if (!(await stat(file).catch(() => undefined)))
    throw ctx.fail('DatabaseMissing', `there is no ${file}`, { advice: 'look at the backup that it should be in' });
  const text = await readFile(proofOf(file), 'utf8').catch(() => undefined);
  // Without it nothing says where a whole one ends.
  if (text === undefined) throw ctx.fail('DumpIncomplete', `the proof of ${file} is not there`);
  await prove(file, Proof.parse(JSON.parse(text)), ctx);
  return printOf(await countLines(createReadStream(file)));
}

async function prove(file: string, { ends, leastBytes }: Proof, ctx: Context): Promise<void> {
  const { size } = await stat(file);
  const places = { details: { places: [file] } };
  if (size < leastBytes)
    throw ctx.fail('DumpIncomplete', `${file} has ${size} bytes, a whole one at least ${leastBytes}`, places);
  if (ends !== undefined && (await lastLine(file, size, Buffer.byteLength(ends))) !== ends)
    throw ctx.fail('DumpIncomplete', `${file} does not end with the line of a whole one`, places);
}

/** The last line that is not empty; of a longer one than `length` its beginning says that it is another. */
async function lastLine(file: string, size: number, length: number): Promise<string | undefined> {
  const handle = await open(file);
  try {
    const start = Math.max(0, size - length - 4096);
    const { buffer } = await handle.read(Buffer.alloc(size - start), 0, size - start, start);
    return buffer
      .toString('utf8')
      .split(/\r?\n/)
      .findLast((line) => line !== '');
  } finally {
    await handle.close();
  }
}

async function described(file: string): Promise<{ bytes: number; sha256: string }> {
  return { bytes: (await stat(file)).size, sha256: await sha256Of(file) };
}

const NOTHING = createHash('sha256').digest('hex');
/** A program's output has lines, and no schema that anybody here knows. */
export const printOf = (lines: number): Fingerprint => ({ tables: { lines }, schemaSha256: NOTHING, userVersion: 0 });

export async function countLines(stream: AsyncIterable<Buffer>): Promise<number> {
  let lines = 0;
  let last = 10;
  for await (const chunk of stream) {
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines++;
    last = chunk.at(-1) ?? last;
  }
  return last === 10 ? lines : lines + 1;
}
