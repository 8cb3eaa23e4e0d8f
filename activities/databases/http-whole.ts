import { rm } from 'node:fs/promises';
import { readLines, sortFile } from '../capture/lines.js';
import type { Context } from '../contracts.js';
import { LineFile } from '../tools/line-file.js';
import type { ExportFacts, ExportRecord } from '../tools/varasto-export.js';

/**
 * Whether the records of an export find what they refer to. One that was cut after a line lacks records of its last section, and nothing
 * else tells. Names are compared through sorted lists on disk, beside the export, so that millions need no memory.
 */
export class References {
  private readonly has: LineFile;
  private readonly needs: LineFile;
  private readonly keys = new Set<string>();
  private readonly slots = new Set<string>();

  constructor(file: string) {
    this.has = new LineFile(`${file}.has`);
    this.needs = new LineFile(`${file}.needs`);
  }

  async add({ section, value }: ExportRecord): Promise<void> {
    const is = (name: unknown) => this.has.add(`${section} ${name}`);
    const needs = async (of: string, name: unknown) => {
      if (name !== undefined && name !== null && name !== '') await this.needs.add(`${of} ${name}`);
    };
    if (section === 'Blob') {
      await is(Buffer.from(String(value.Ref), 'base64').toString('hex'));
      for (const volume of listOf(value.Volumes)) await needs('Volume', volume);
    } else if (section === 'Config') await is(value.Key);
    else await is(value.ID);
    if (section === 'KeyEncryptionKey') this.keys.add(String(value.Fingerprint));
    if (section === 'VolumeMount') {
      await needs('Volume', value.Volume);
      await needs('Node', value.Node);
    }
    if (section === 'Directory') await needs('Directory', value.Parent);
    if (section === 'Directory' || section === 'Collection') await needs('ReplicationPolicy', value.ReplicationPolicy);
    if (section !== 'Collection') return;
    await needs('Directory', value.Directory);
    for (const { slots } of listOf(value.EncryptionKeys) as { slots?: unknown }[])
      this.slots.add((listOf(slots) as { kek_fingerprint: string }[]).map((slot) => slot.kek_fingerprint).join(' '));
    for (const { FilesCreated, FilesUpdated } of listOf(value.Changesets) as Record<string, unknown>[])
      for (const { BlobRefs } of [...listOf(FilesCreated), ...listOf(FilesUpdated)] as { BlobRefs?: unknown }[])
        for (const ref of listOf(BlobRefs)) await needs('Blob', ref);
  }

  /** The first record that is referred to and is not there; undefined where all is there. */
  async lacking({ nodeId, counts }: ExportFacts, ctx: Context): Promise<string | undefined> {
    for (const name of ['Config nodeId', 'Config node_tls_cert_key', `Node ${nodeId}`]) await this.needs.add(name);
    for (const file of [this.has, this.needs]) {
      await file.end();
      await sortFile(file.path, ctx);
    }
    // Somebody was let in to take it.
    if (!counts.Client) return 'Client';
    for (const slots of this.slots) if (!slots.split(' ').some((key) => this.keys.has(key))) return 'KeyEncryptionKey';
    const has = readLines(this.has.path);
    let next = await has.next();
    for await (const name of readLines(this.needs.path)) {
      ctx.beat();
      while (!next.done && next.value < name) next = await has.next();
      if (next.done || next.value !== name) return name;
    }
    return undefined;
  }

  async end(): Promise<void> {
    for (const file of [this.has, this.needs]) {
      await file.end().catch(() => {});
      await rm(file.path, { force: true });
    }
  }
}

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
