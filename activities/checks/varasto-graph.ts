import { createPrivateKey, type KeyObject } from 'node:crypto';
import { join } from 'node:path';
import type { Check } from '../../src/core/report.js';
import { readLines, sortFile } from '../capture/lines.js';
import type { Context } from '../contracts.js';
import { LineFile } from '../tools/line-file.js';
import { type BlobRecord, openKey } from '../tools/varasto-crypto.js';
import { type ExportFacts, readExport } from '../tools/varasto-export.js';
import { type Tally, tally } from './tally.js';

/** What one export says, looked at as a whole: keys by their ids, volumes, mounts, and how its records hold together. */
export interface Graph {
  facts: ExportFacts;
  checks: Check[];
  /** Keys of collections that could be opened, by id. */
  keys: Map<string, Buffer>;
  /** Volume id → UUID. */
  volumes: Map<number, string>;
  /** Absolute directories that this instance had mounted. */
  mounts: string[];
}

interface Slot {
  kek_fingerprint: string;
  key_encrypted: string;
}
interface Collection {
  ID: string;
  EncryptionKeys: { key_id: string; slots: Slot[] | null }[] | null;
  Changesets: { FilesCreated: File[] | null; FilesUpdated: File[] | null }[] | null;
}
interface File {
  Path: string;
  BlobRefs: string[] | null;
}

/**
 * Reads an export twice and checks what refers to what: blobs are compared with the files that need them through sorted lists
 * on disk, so that millions need no memory. `scratch` is a directory of our own.
 */
export async function graphOf(file: string, scratch: string, ctx: Context): Promise<Graph> {
  const keks = new Map<string, KeyObject>();
  const graph = { keys: new Map<string, Buffer>(), volumes: new Map<number, string>(), mounts: [] as string[] };
  const ids = { nodes: [] as string[], configured: '' };
  const bad = { keks: [] as string[] };
  // Sections come in any order: first what others refer to.
  const facts = await readExport(file, ({ section, value }) => {
    ctx.beat();
    if (section === 'Volume') graph.volumes.set(Number(value.ID), String(value.UUID));
    if (section === 'VolumeMount' && value.Driver === 'local-fs') graph.mounts.push(String(value.DriverOpts));
    if (section === 'Node') ids.nodes.push(String(value.ID));
    if (section === 'Config' && value.Key === 'nodeId') ids.configured = String(value.Value);
    if (section !== 'KeyEncryptionKey') return;
    try {
      keks.set(String(value.Fingerprint), createPrivateKey(String(value.PrivateKey)));
    } catch {
      bad.keks.push(`key ${value.ID}: its private key cannot be read`);
    }
  });
  const keys = tally();
  for (const place of bad.keks) keys.bad(place);
  const [blobs, volumes] = [tally(), tally()];
  const have = new LineFile(join(scratch, 'have.txt'));
  const want = new LineFile(join(scratch, 'want.txt'));
  await readExport(file, async ({ section, value }) => {
    ctx.beat();
    if (section === 'Collection') {
      const collection = value as unknown as Collection;
      openKeys(collection, keks, graph.keys, keys);
      for (const each of collection.Changesets ?? [])
        for (const { Path, BlobRefs } of [...(each.FilesCreated ?? []), ...(each.FilesUpdated ?? [])])
          for (const ref of BlobRefs ?? []) await want.add(`${ref}\t${collection.ID}: ${JSON.stringify(Path)}`);
    }
    if (section === 'Blob') {
      const blob = value as unknown as BlobRecord;
      const ref = Buffer.from(blob.Ref, 'base64').toString('hex');
      await have.add(`${ref}\t${blob.EncryptionKeyID}`);
      const lost = (blob.Volumes ?? []).filter((id) => !graph.volumes.has(id));
      if (lost.length > 0) volumes.bad(`blob ${ref.slice(0, 12)}: volume ${lost.join(', ')} is not known`);
      else volumes.good();
    }
  });
  for (const lines of [have, want]) await lines.end();
  const sealed = tally();
  await sameRefs(have, want, { blobs, sealed, keys: graph.keys }, ctx);
  return {
    ...graph,
    facts,
    checks: [
      nodeCheck(facts, ids),
      keys.check('keys', (n) => `${n} keys of collections open with ${keks.size} key-encryption keys`),
      sealed.check('keys of blobs', (n) => `each of ${n} blobs that files need has a key that opens`),
      blobs.check('blobs of files', (n) => `${n} references from files lead to a blob`),
      volumes.check('volumes of blobs', (n) => `${n} blobs lie on volumes that are known`),
    ],
  };
}

/** A restored database with another node id is another installation: Varasto makes one without asking where it finds none. */
function nodeCheck({ nodeId }: ExportFacts, { nodes, configured }: { nodes: string[]; configured: string }): Check {
  const name = 'node';
  if (nodeId === configured && nodes.includes(nodeId))
    return { name, ok: true, evidence: `node ${nodeId} in head, configuration and nodes` };
  const places = [`head: ${nodeId}`, `Config nodeId: ${configured || 'none'}`, `Node: ${nodes.join(', ') || 'none'}`];
  return { name, ok: false, evidence: `the node ids differ: ${places.join('; ')}`, places };
}

/** Each key of a collection has to open by one of its slots. */
function openKeys(
  { ID, EncryptionKeys }: Collection,
  keks: Map<string, KeyObject>,
  opened: Map<string, Buffer>,
  keys: Tally,
): void {
  for (const { key_id: id, slots } of EncryptionKeys ?? []) {
    let key: Buffer | undefined;
    for (const { kek_fingerprint: fingerprint, key_encrypted: sealed } of slots ?? []) {
      const kek = keks.get(fingerprint);
      key ??= kek && openKey(sealed, kek);
    }
    if (key?.length !== 32) keys.bad(`collection ${ID}: no key-encryption key opens its key ${id}`);
    else {
      keys.good();
      opened.set(id, key);
    }
  }
}

/**
 * Each blob that files need is recorded, and has a key that opens. One that none needs may have lost its key: Varasto deletes a collection
 * with its keys, and keeps the blobs.
 */
async function sameRefs(
  have: LineFile,
  want: LineFile,
  { blobs, sealed, keys }: { blobs: Tally; sealed: Tally; keys: Graph['keys'] },
  ctx: Context,
): Promise<void> {
  for (const { path } of [have, want]) await sortFile(path, ctx);
  const known = readLines(have.path);
  let next = await known.next();
  let last = '';
  for await (const line of readLines(want.path)) {
    const [ref = '', place = ''] = line.split('\t');
    while (!next.done && next.value.slice(0, next.value.indexOf('\t')) < ref) next = await known.next();
    const [found, key = ''] = next.done ? [] : next.value.split('\t');
    if (found !== ref) {
      blobs.bad(`${place} needs blob ${ref.slice(0, 12)}, which is not recorded`);
      continue;
    }
    blobs.good();
    if (ref === last) continue;
    last = ref;
    if (keys.has(key)) sealed.good();
    else sealed.bad(`blob ${ref.slice(0, 12)}: its key ${key} cannot be opened`);
  }
}
