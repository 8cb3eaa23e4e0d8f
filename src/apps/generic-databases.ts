import { resolve } from 'node:path';
import { z } from 'zod';
import { command, form, key, path, secret, text } from '../config/fields.js';
import { commandOf } from '../config/plan-services.js';
import { NAME } from '../core/names.js';
import { suggestion } from '../core/near.js';
import type { DatabaseSpec } from '../core/plan.js';
import type { SiteFacts } from './contract.js';
import { nameOf } from './coverage.js';

/** The databases of a site of any kind, as a person writes them: one form per kind. */

const name = form(NAME, 'must be a name of lower-case letters, digits and dashes');
const named = key(name, 'What reports call it; by default after the database.', 'wiki').optional();
const called = key(name, 'What reports call it.', 'ledger');
const file = key(path, 'The database, relative to root.', 'data/wiki.db');
const mode = key(
  z.enum(['stopped', 'online']).default('stopped'),
  '`online` takes it while the application runs. Where all databases are taken so, nothing is ever stopped.',
);

const CONTAINER_FORMS = 'must be the name of a compose service, or { service, file, project }';
/** How the server of databases is reached. */
export const server = {
  host: key(text, 'The address of its server; by default this machine.', 'db.example.com').optional(),
  port: key(z.int().min(1).max(65_535), "Its port; by default the server's usual one.", 5433).optional(),
  socket: key(
    path,
    'Its socket in place of an address (PostgreSQL: the directory of it).',
    '/run/postgresql',
  ).optional(),
  user: key(text, 'The user that reads it, and makes it anew in a restore.', 'backup').optional(),
  password: key(secret, "That user's password.", { file: '/etc/holdfast/wiki-db' }).optional(),
  container: key(
    z.union(
      [
        text,
        z.strictObject({
          service: key(text, 'The service.', 'db'),
          file: key(
            path,
            "The compose file, relative to the site's root; by default the one there.",
            'compose.yaml',
          ).optional(),
          project: key(text, "Compose's project name, where it is not that of the directory.", 'wiki').optional(),
        }),
      ],
      { error: CONTAINER_FORMS },
    ),
    'The compose service that the server runs in: its own programs are run there. It must not be among what is stopped.',
    'db',
  ).optional(),
};

const hour = '; it may take 1h unless it says otherwise (`timeout`)';
const ends = key(text, 'The last line of a whole one: without it, it is incomplete.', '-- end of dump').optional();

const KINDS = [
  z.strictObject({
    kind: key(z.literal('sqlite'), 'a database that is one file.'),
    path: file,
    name: named,
    format: key(z.enum(['file', 'sql']).default('file'), 'How it is kept: as the file itself, or as SQL text.'),
    mode,
  }),
  z.strictObject({
    kind: key(z.literal('mysql'), 'databases of MySQL or MariaDB.'),
    schemas: key(z.array(text).min(1, 'must name a database'), 'Databases of the server, all in one consistent dump.', [
      'wiki',
    ]),
    grants: key(z.boolean().default(false), 'The accounts and their rights too, beside the dump.'),
    name: named,
    mode,
    ...server,
  }),
  z.strictObject({
    kind: key(z.literal('postgres'), 'a database of PostgreSQL.'),
    database: key(text, 'One database of the server.', 'wiki'),
    globals: key(
      z.boolean().default(true),
      'The roles of the server too, with their passwords where the user may read them.',
    ),
    name: named,
    mode,
    ...server,
  }),
  z.strictObject({
    kind: key(z.literal('http'), 'what the application exports of itself, taken while it runs.'),
    name: called,
    url: key(
      form(/^https?:\/\//, 'must be an http:// or https:// address'),
      'The address of the export.',
      'https://127.0.0.1:8443/export',
    ),
    token: key(secret, 'Sent as a bearer token.', { file: '/etc/holdfast/wiki-token' }).optional(),
    ca: key(
      path,
      "A certificate file, relative to root, that the server's must be signed by, or be; else the machine's own authorities.",
      'tls/server.crt',
    ).optional(),
    ends,
  }),
  z.strictObject({
    kind: key(z.literal('command'), 'what a program prints.'),
    name: called,
    dump: key(command, `Prints the dump on its standard output${hour}.`, ['./bin/ledger', 'export']),
    load: key(
      command,
      `Gets a dump on its standard input and puts it in place of what is there, whatever that is${hour}. Without it a restore leaves the dump to be imported by hand.`,
      ['./bin/ledger', 'import', '--replace'],
    ).optional(),
    ends,
    leastBytes: key(z.int().positive().default(1), 'A whole one has at least so many bytes.'),
    mode,
  }),
  z.strictObject({
    kind: key(z.literal('bolt'), 'a bbolt file.'),
    path: file,
    name: named,
    snapshot: key(
      path,
      'Where a hook makes a file-system snapshot show it: taken there, as after a power cut.',
      '/mnt/snap/store.db',
    ).optional(),
  }),
] as const;

const NAMES = KINDS.map((kind) => kind.shape.kind.value);

export const DatabaseOptions = z.discriminatedUnion('kind', KINDS, {
  error: ({ input }) => {
    const { kind } = (typeof input === 'object' && input !== null ? input : {}) as { kind?: unknown };
    if (kind === undefined) return 'is missing';
    const hint = typeof kind === 'string' ? suggestion(kind, NAMES) : '';
    return `must be one of ${NAMES.join(', ')}${hint.startsWith('did') ? `; ${hint}` : ''}`;
  },
});
export type DatabaseOptions = z.infer<typeof DatabaseOptions>;

/** What a database is called where its owner gave it no name. */
export function databaseName(one: DatabaseOptions): string {
  if (one.name !== undefined) return one.name;
  if (one.kind === 'mysql') return nameOf(one.schemas[0] ?? '');
  return nameOf(one.kind === 'postgres' ? one.database : 'path' in one ? one.path : one.kind);
}

/** Whether it is taken while the application runs. */
export const isOnline = (one: DatabaseOptions): boolean =>
  one.kind === 'http' || (one.kind === 'bolt' ? one.snapshot !== undefined : one.mode === 'online');

const HOUR_MS = 3_600_000;

/** A database as a plan has it: paths absolute, names given. */
export function databaseSpec(one: DatabaseOptions, root: string, facts: SiteFacts): DatabaseSpec {
  const base = { name: databaseName(one), mode: isOnline(one) ? ('online' as const) : ('stopped' as const) };
  switch (one.kind) {
    case 'sqlite':
      return { ...one, ...base, path: resolve(root, one.path) };
    case 'bolt':
      return {
        ...base,
        kind: one.kind,
        path: resolve(root, one.path),
        ...(one.snapshot === undefined ? {} : { snapshot: resolve(root, one.snapshot) }),
        format: 'file',
      };
    case 'mysql':
      return { ...serverOf(one, root, facts), ...base, format: 'sql' };
    case 'postgres':
      return { ...serverOf(one, root, facts), ...base, format: 'custom' };
    case 'http':
      return { ...one, ...base, ...(one.ca === undefined ? {} : { ca: resolve(root, one.ca) }), format: 'text' };
    case 'command': {
      const { dump, load, ...rest } = one;
      const long = (line: NonNullable<typeof load>) => {
        const told = !Array.isArray(line) && line.timeout !== undefined;
        const full = commandOf(line, root);
        return told ? full : { ...full, timeoutMs: HOUR_MS };
      };
      return { ...rest, ...base, dump: long(dump), ...(load ? { load: long(load) } : {}), format: 'output' };
    }
  }
}

const COMPOSE = ['compose.yaml', 'compose.yml', 'docker-compose.yaml', 'docker-compose.yml'];

/** Its options with places made absolute. */
export function serverOf<O extends Pick<z.infer<z.ZodObject<typeof server>>, 'socket' | 'container'>>(
  { socket, container, ...rest }: O,
  root: string,
  { entries }: SiteFacts,
) {
  const written = typeof container === 'string' ? { service: container } : container;
  const found = () =>
    COMPOSE.map((each) => resolve(root, each)).find((each) => entries.some(({ path }) => path === each)) ??
    resolve(root, 'docker-compose.yaml');
  return {
    ...rest,
    ...(socket === undefined ? {} : { socket: resolve(root, socket) }),
    ...(written
      ? { container: { ...written, file: written.file === undefined ? found() : resolve(root, written.file) } }
      : {}),
  };
}
