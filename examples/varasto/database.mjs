// Varasto's metadata as the stand-in keeps it: one bucket per record type, JSON where the real one has msgpack.
import { readBolt, writeBolt } from './bolt.mjs';

/** Record type → its bucket, and the field that is its key. */
export const TYPES = {
  Blob: ['blobs', 'Ref'],
  Node: ['nodes', 'ID'],
  Client: ['clients', 'ID'],
  KeyEncryptionKey: ['keyencryptionkeys', 'ID'],
  ReplicationPolicy: ['replicationpolicies', 'ID'],
  Volume: ['volumes', 'ID'],
  VolumeMount: ['volumemounts', 'ID'],
  Directory: ['directories', 'ID'],
  Collection: ['collections', 'ID'],
  IntegrityVerificationJob: ['ivjobs', 'ID'],
  ScheduledJob: ['scheduledjobs', 'ID'],
  Config: ['config', 'Key'],
};

export const SCHEMA = 6;

/** `{ Blob: [record, …], … }` with every type. */
export const noRecords = () => Object.fromEntries(Object.keys(TYPES).map((type) => [type, []]));

export function save(path, records) {
  const buckets = Object.entries(TYPES).map(([type, [bucket, key]]) => [
    bucket,
    [...new Map(records[type].map((record) => [String(record[key]), JSON.stringify(record)]))],
  ]);
  writeBolt(path, { _meta: [['schemaVersion', Buffer.from([SCHEMA, 0, 0, 0])]], ...Object.fromEntries(buckets) });
}

export function load(path) {
  const buckets = readBolt(path);
  return Object.fromEntries(
    Object.entries(TYPES).map(([type, [bucket]]) => [
      type,
      (buckets[bucket] ?? []).map(([, value]) => JSON.parse(value.toString())),
    ]),
  );
}

export const configOf = (records, key) => records.Config.find((each) => each.Key === key)?.Value;

/** The export's text, its sections in another order each time. */
export function exportText(records) {
  const head = `# Varasto-DB-snapshot${JSON.stringify({ node_id: configOf(records, 'nodeId') ?? '', schema_version: SCHEMA })}\n`;
  const order = Object.keys(TYPES)
    .map((type) => [Math.random(), type])
    .sort(([a], [b]) => a - b);
  return (
    head +
    order.map(([, type]) => [`\n# ${type}\n`, ...records[type].map((r) => `${JSON.stringify(r)}\n`)].join('')).join('')
  );
}

/** One line per file of each changeset, created or updated. */
export function sha256sText(records) {
  const files = records.Collection.flatMap(({ Changesets }) =>
    Changesets.flatMap((each) => [...each.FilesCreated, ...each.FilesUpdated]),
  );
  return files.map(({ Sha256, Path }) => `${Sha256} ${Path}\n`).join('');
}

/** Reads an export as the import does: the head, a JSON record per line, nothing about what is missing. Throws in its words. */
export function importText(text) {
  if (text === '') throw new Error('file seems empty: <nil>');
  const [first, ...lines] = text.split('\n');
  const head = /^# Varasto-DB-snapshot(\{.+)/.exec(first);
  if (!head) throw new Error('failed to recognize backup header. did you remember to decrypt the backup file?');
  const { schema_version: version } = JSON.parse(head[1]);
  if (version !== SCHEMA) throw new Error(`snapshot schema version ${version} while DB requires ${SCHEMA}`);
  const records = noRecords();
  let type;
  for (const line of lines) {
    if (line.length > 8 * 1024 * 1024) throw new Error('bufio.Scanner: token too long');
    if (line.startsWith('# ')) {
      type = line.slice(2);
      if (!TYPES[type]) throw new Error(`unsupported record type: ${type}`);
    } else if (line !== '') records[type].push(JSON.parse(line));
  }
  return records;
}
