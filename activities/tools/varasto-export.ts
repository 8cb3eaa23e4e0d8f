import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import type { Fingerprint } from '../../src/core/manifest.js';

/**
 * Varasto's export of its metadata: a header, twelve sections in an order that is another one each time, one JSON record per
 * line. It has no end of its own and no count, so a text that was cut after a line is told by its missing sections alone.
 */
export const SECTIONS = [
  'Blob',
  'Node',
  'Client',
  'KeyEncryptionKey',
  'ReplicationPolicy',
  'Volume',
  'VolumeMount',
  'Directory',
  'Collection',
  'IntegrityVerificationJob',
  'ScheduledJob',
  'Config',
] as const;
export type Section = (typeof SECTIONS)[number];

/** Varasto's import reads no longer line, though it exports one. */
export const LONGEST_LINE = 8 * 1024 * 1024;

export interface ExportFacts {
  nodeId: string;
  schemaVersion: number;
  /** Records per section. */
  counts: Record<string, number>;
  /** The section that it ends with: a cut would have taken of that one. */
  last: string;
  /** Lines that an import would refuse for their length, as `line 7`. */
  tooLong: string[];
}

export interface ExportRecord {
  section: Section;
  /** The JSON text. */
  text: string;
  value: Record<string, unknown>;
  /** Its line in the file, from 1. */
  line: number;
}

/** What is wrong with an export, and where: `line 14 is no JSON`. */
export class NoExport extends Error {}

const HEADER = /^# Varasto-DB-snapshot(\{.+\})$/;

/** Reads an export through, a file or as it arrives, record by record, and holds none. Throws NoExport where it is not a whole one. */
export async function readExport(
  from: string | Readable,
  onRecord: (record: ExportRecord) => void | Promise<void> = () => {},
): Promise<ExportFacts> {
  const facts: ExportFacts = { nodeId: '', schemaVersion: 0, counts: {}, last: '', tooLong: [] };
  let section: Section | undefined;
  let line = 0;
  for await (const { text, ended } of linesOf(from)) {
    line++;
    if (!ended) throw new NoExport(`line ${line} is cut: it has no end`);
    if (line === 1) Object.assign(facts, header(text));
    else if (text.startsWith('# ')) {
      section = sectionOf(text.slice(2), line);
      if (section in facts.counts) throw new NoExport(`line ${line}: section ${section} stands twice`);
      facts.counts[section] = 0;
      facts.last = section;
    } else if (text !== '') {
      if (!section) throw new NoExport(`line ${line} stands in no section`);
      await onRecord({ section, text, value: record(text, section, line), line });
      facts.counts[section] = (facts.counts[section] ?? 0) + 1;
      if (Buffer.byteLength(text) >= LONGEST_LINE) facts.tooLong.push(`line ${line} (${section})`);
    }
  }
  if (line === 0) throw new NoExport('it is empty');
  const missing = SECTIONS.filter((name) => !(name in facts.counts));
  if (missing.length > 0) throw new NoExport(`section ${missing.join(', ')} is missing after line ${line}`);
  return facts;
}

function header(text: string): Pick<ExportFacts, 'nodeId' | 'schemaVersion'> {
  const json = parsed(HEADER.exec(text)?.[1] ?? '');
  const { node_id: nodeId, schema_version: schemaVersion } = (json ?? {}) as Record<string, unknown>;
  if (typeof nodeId !== 'string' || !Number.isInteger(schemaVersion))
    throw new NoExport('line 1 is not the head of a Varasto export');
  return { nodeId, schemaVersion: schemaVersion as number };
}

function sectionOf(name: string, line: number): Section {
  const found = SECTIONS.find((each) => each === name);
  if (!found) throw new NoExport(`line ${line}: a section that is not known`);
  return found;
}

function record(text: string, section: Section, line: number): Record<string, unknown> {
  const value = parsed(text);
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw new NoExport(`line ${line} (${section}) is no JSON record`);
  return value as Record<string, unknown>;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Tells two exports apart whatever the order of their sections; `contentSha256` is that of the sorted lines. */
export function fingerprintOf({ counts, schemaVersion }: ExportFacts, contentSha256: string): Fingerprint {
  const names = Object.keys(counts).sort();
  return {
    tables: Object.fromEntries(names.map((name) => [name, counts[name] ?? 0])),
    schemaSha256: createHash('sha256')
      .update([schemaVersion, ...names].join('\n'))
      .digest('hex'),
    userVersion: schemaVersion,
    contentSha256,
  };
}

/** Lines by their newline alone (other readers take more characters for an end), and whether each has one. */
async function* linesOf(from: string | Readable): AsyncGenerator<{ text: string; ended: boolean }> {
  const decoder = new StringDecoder('utf8');
  let rest: string[] = [];
  for await (const chunk of typeof from === 'string' ? createReadStream(from, { highWaterMark: 1 << 18 }) : from) {
    const [first = '', ...more] = decoder.write(chunk as Buffer).split('\n');
    rest.push(first);
    for (const piece of more) {
      yield { text: rest.join(''), ended: true };
      rest = [piece];
    }
  }
  const last = rest.join('') + decoder.end();
  if (last !== '') yield { text: last, ended: false };
}
