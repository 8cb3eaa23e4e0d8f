import { join, relative, resolve } from 'node:path';
import { z } from 'zod';
import type { DatabaseSpec } from '../core/plan.js';
import type { App, SiteFacts } from './contract.js';
import { isWithin, literal, nameOf, uncovered } from './coverage.js';
import { server, serverOf } from './generic-databases.js';

const text = z.string().min(1, 'must not be empty');

const MysqlOptions = z.strictObject({
  ...server,
  schemas: z
    .strictObject({
      ccnet: text.default('ccnet_db').describe('Users and groups.'),
      seafile: text.default('seafile_db').describe('Libraries.'),
      seahub: text.default('seahub_db').describe('The web pages.'),
    })
    .prefault({})
    .describe('What the three databases are called.'),
});

export const SeafileOptions = z.strictObject({
  mysql: MysqlOptions.optional().describe(
    'The MySQL or MariaDB server of Seafile; without it, the databases are SQLite files below root.',
  ),
  layout: z
    .enum(['classic', 'docker'])
    .optional()
    .describe(
      '`classic`: seafile-data lies in root. `docker`: it lies in the directory `seafile` of root, which containers see as /shared. By default what is there tells.',
    ),
  data: text
    .optional()
    .describe('Where seafile-data really lies, relative to root, where it is a symbolic link or has another name.'),
  online: z
    .boolean()
    .optional()
    .describe(
      'Dump the databases without stopping Seafile, the data after them. By default so with MySQL, whose dump is one transaction, and not with SQLite.',
    ),
  damaged: z
    .array(z.string().regex(/^[0-9a-f-]{36}$/, 'must be the id of a library'))
    .default([])
    .describe('Libraries whose damage is known, by id: backed up as they are, and reported rather than failed.'),
  mayBeEmpty: z.boolean().default(false).describe('No library yet is no error.'),
  leaveOut: z
    .array(text)
    .default([])
    .describe('Entries below root, and volumes, that need no backup: they are not reported as uncovered.'),
});
export type SeafileOptions = z.infer<typeof SeafileOptions>;

/** What every installation on SQLite has: its absence is a failure. */
const ALWAYS = ['ccnet/PeerMgr/usermgr.db', 'ccnet/GroupMgr/groupmgr.db', 'seafile-data/seafile.db', 'seahub.db'];
/** Made only by some versions and editions (facts: the document forgets them). */
const SOMETIMES = ['ccnet/OrgMgr/orgmgr.db', 'ccnet/misc/config.db'];
const SIDECARS = ['', '-wal', '-shm', '-journal'];
/** Where the directory that the document calls `haiwen` may lie below root. */
const TOPS = { classic: '', docker: 'seafile' } as const;
const WEEK_MS = 7 * 86_400_000;

/** Absolute places of a site: the checks look where the plan looked. `top` is the document's `haiwen`. */
export function seafilePlaces(root: string, options: Pick<SeafileOptions, 'layout' | 'data'>, facts?: SiteFacts) {
  const isThere = (path: string) => facts?.entries.some((entry) => entry.path === path) ?? false;
  const layout = options.layout ?? (isThere(resolve(root, 'seafile/seafile-data')) ? 'docker' : 'classic');
  const top = resolve(root, TOPS[layout]);
  const data = options.data === undefined ? join(top, 'seafile-data') : resolve(root, options.data);
  return { layout, top, data, storage: join(data, 'storage') };
}

/**
 * Seafile: databases first, data after. Objects of libraries are written once and named by their hash, so they are
 * stored after the restart; only garbage collection removes them. Everything else of the directory goes with them.
 */
export const seafile: App<SeafileOptions> = {
  name: 'seafile',
  about: 'Seafile: its databases (SQLite or MySQL), the libraries, configuration and everything beside them.',
  options: SeafileOptions,
  looksInto: Object.values(TOPS).flatMap((top) => SOMETIMES.map((path) => join(top, path, '..'))),
  plan({ root, options }, facts) {
    const { layout, top, data, storage } = seafilePlaces(root, options, facts);
    const files = options.mysql ? [] : sqliteFiles(top, data, facts);
    const absent = options.mysql ? [] : SOMETIMES.filter((path) => !files.includes(join(top, path)));
    // An empty machine does not tell the layout, and a restore needs the plan of the site as it was.
    const tops =
      facts.entries.length > 0 || options.layout ? [top] : Object.values(TOPS).map((below) => join(root, below));
    const pids = tops.map((each) => join(each, 'pids'));
    const inside = (at: string) =>
      [
        ...tops.map((each) => join(each, 'seafile-data/storage')),
        storage,
        ...pids,
        ...(options.mysql ? [] : [...allFiles(tops), ...files].flatMap((file) => SIDECARS.map((end) => file + end))),
        ...options.leaveOut.map((name) => resolve(root, name)),
      ].flatMap((path) => (isWithin(path, at) && path !== at ? [literal(relative(at, path))] : []));
    const rest = (name: string, at: string) => ({
      name,
      root: at,
      include: [],
      exclude: [...new Set(inside(at))],
      optional: false,
      change: 'live' as const,
      mayBeEmpty: false,
    });
    const fileSets = [
      {
        name: 'libraries',
        root: storage,
        include: [],
        exclude: [],
        optional: false,
        change: 'immutable' as const,
        mayBeEmpty: options.mayBeEmpty,
      },
      rest('site', root),
      ...(isWithin(data, root) ? [] : [rest('seafile-data', data)]),
    ];
    return {
      databases: options.mysql
        ? [served(root, options.mysql, facts, options.online)]
        : files.map((path) => sqlite(path, options)),
      fileSets,
      uncovered: uncovered(root, facts, { databases: files, fileSets, leftOut: [...pids, ...options.leaveOut] }),
      leftOut: [
        'pids: written anew',
        ...absent.map((path) => `${path}: this installation has none`),
        ...options.leaveOut.map((name) => `${name}: by configuration`),
      ],
      keepAtLeastMs: WEEK_MS,
      health: { http: `http://127.0.0.1:${layout === 'docker' ? 80 : 8000}/api2/ping/`, status: 200 },
    };
  },
};

/** Also those that are not there yet: they are no plain files once they are. */
const allFiles = (tops: string[]) => tops.flatMap((top) => [...ALWAYS, ...SOMETIMES].map((path) => join(top, path)));

/** The four of the document, and what else is there: other databases, also those that an edition adds to the top directory. */
function sqliteFiles(top: string, data: string, facts: SiteFacts): string[] {
  const there = new Set(facts.entries.flatMap(({ path, dir }) => (dir ? [] : [path])));
  const own = ALWAYS.map((path) => (path.startsWith('seafile-data/') ? join(data, 'seafile.db') : join(top, path)));
  const more = SOMETIMES.map((path) => join(top, path)).filter((path) => there.has(path) || facts.entries.length === 0);
  const others = [...there].filter((path) => path.endsWith('.db') && resolve(path, '..') === top);
  return [...new Set([...own, ...more, ...others])];
}

function sqlite(path: string, { online }: SeafileOptions): DatabaseSpec {
  return { kind: 'sqlite', name: nameOf(path), path, format: 'sql', mode: online ? 'online' : 'stopped', dated: true };
}

/** One dump of all three: separate ones would show separate instants. */
function served(root: string, options: z.infer<typeof MysqlOptions>, facts: SiteFacts, online = true): DatabaseSpec {
  const { schemas, ...rest } = serverOf(options, root, facts);
  return {
    kind: 'mysql',
    name: 'seafile',
    ...rest,
    schemas: [schemas.ccnet, schemas.seafile, schemas.seahub],
    grants: false,
    format: 'sql',
    mode: online ? 'online' : 'stopped',
    dated: true,
  };
}
