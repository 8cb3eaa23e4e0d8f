import { resolve } from 'node:path';
import { z } from 'zod';
import { type DatabaseSpec, SecretRef } from '../core/plan.js';
import type { App } from './contract.js';
import { nameOf, uncovered } from './coverage.js';

const path = z.string().min(1, 'must not be empty');

export const VarastoOptions = z
  .strictObject({
    take: z
      .enum(['export', 'stopped', 'snapshot'])
      .default('export')
      .describe(
        'How the metadata is taken: Varasto’s own export while it runs (consistent, nothing stops); the database file while Varasto is stopped; or its copy on a file-system snapshot (as after a power cut).',
      ),
    url: z
      .string()
      .regex(/^https?:\/\//, 'must be an http:// or https:// address')
      .regex(/^https?:\/\/[^/]+\/./, 'must be the address of the export: https://localhost/api_v2/database/export')
      .default('https://localhost/api_v2/database/export')
      .describe('The address of the export.'),
    token: SecretRef.optional().describe(
      'An API key of its own (Settings > Users), a secret: { file: … }. Needed for the export.',
    ),
    ca: path
      .optional()
      .describe(
        'The certificate that Varasto shows, as a file, relative to root: it signs its own. By default the machine’s authorities.',
      ),
    database: path.default('varasto.db').describe('The database file, relative to root: `db_location` of config.json.'),
    snapshot: path
      .optional()
      .describe('Where the hook `before` makes a snapshot’s copy of the database file appear (`take: snapshot`).'),
    volumes: z
      .array(path)
      .default([])
      .describe('Directories of blob volumes to back up too. Varasto replicates blobs itself, so by default none is.'),
    blobs: z
      .array(path)
      .default([])
      .describe(
        'Further directories of volumes, or copies of them, in which a restore test reads its share of the blobs.',
      ),
    leaveOut: z
      .array(path)
      .default([])
      .describe('Entries below root, and volumes, that need no backup: they are not reported as uncovered.'),
  })
  .superRefine(({ take, token, snapshot }, ctx) => {
    const say = (key: string, message: string) => ctx.addIssue({ code: 'custom', path: [key], message });
    if (take === 'export' && token === undefined) say('token', 'is missing: the export needs one; write { file: … }');
    if ((take === 'snapshot') !== (snapshot !== undefined))
      say(
        'snapshot',
        take === 'snapshot' ? 'is missing: name where the copy appears' : 'means nothing here: set take: snapshot',
      );
  });
export type VarastoOptions = z.infer<typeof VarastoOptions>;

/** What the database is called in reports, and the service in µbackup's names. */
export const VARASTO = 'varasto';

const CONFIG = [
  'config.json',
  'client-config.json',
  'docker-compose.yaml',
  'docker-compose.yml',
  'compose.yaml',
  'compose.yml',
  '.env',
];

/** Absolute directories in which blobs may be read, whoever made them. */
export function varastoVolumes(root: string, { volumes, blobs }: Pick<VarastoOptions, 'volumes' | 'blobs'>) {
  return { captured: volumes.map((each) => resolve(root, each)), others: blobs.map((each) => resolve(root, each)) };
}

/** Varasto: the metadata database, without whose keys no blob can be read again, and the configuration beside it. */
export const varasto: App<VarastoOptions> = {
  name: VARASTO,
  about: 'Varasto: its metadata with the keys of all files, by its own export while it runs; blobs where asked for.',
  options: VarastoOptions,
  plan({ root, options }, facts) {
    const file = resolve(root, options.database);
    const { captured } = varastoVolumes(root, options);
    const fileSets = [
      ...captured.map((each, i) => ({
        name: `volume-${i + 1}-${nameOf(each)}`.slice(0, 40),
        root: each,
        include: [],
        exclude: [],
        optional: false,
        change: 'immutable' as const,
        mayBeEmpty: false,
      })),
      {
        name: 'config',
        root,
        include: CONFIG,
        exclude: [],
        optional: true,
        change: 'mutable' as const,
        mayBeEmpty: true,
      },
    ];
    const leftOut = options.leaveOut.flatMap((name) => [name, resolve(root, name)]);
    return {
      databases: [databaseOf(file, options, root)],
      fileSets,
      uncovered: uncovered(root, facts, { databases: [file], fileSets, leftOut }),
      leftOut: captured.length > 0 ? [] : ["blob volumes: Varasto's own replication policy keeps copies of them"],
    };
  },
};

function databaseOf(file: string, options: VarastoOptions, root: string): DatabaseSpec {
  if (options.take === 'export')
    return {
      kind: 'http',
      name: VARASTO,
      mode: 'online',
      url: options.url,
      format: 'varasto',
      path: file,
      ...(options.token ? { token: options.token } : {}),
      ...(options.ca === undefined ? {} : { ca: resolve(root, options.ca) }),
    };
  return {
    kind: 'bolt',
    name: VARASTO,
    mode: options.take === 'stopped' ? 'stopped' : 'online',
    format: 'file',
    path: file,
    ...(options.snapshot === undefined ? {} : { snapshot: resolve(root, options.snapshot) }),
  };
}
