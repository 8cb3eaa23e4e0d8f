import { basename, dirname, join, resolve } from 'node:path';
import picomatch from 'picomatch';
import { z } from 'zod';
import type { DatabaseSpec, FileSetSpec } from '../core/plan.js';
import type { App, SiteFacts } from './contract.js';
import { isWithin, literal } from './coverage.js';

/** What the document recommends besides the accounts: mailbox maps, and the grants of both database servers. */
const RECOMMENDED = ['/var/log/mailer_table*', '/var/lib/mysql/mysql-grants*', '/var/lib/pgsql/*/backups'];

/** Directories of database servers, at any place: only logical exports of them are worth anything (R15). */
const SERVER_DATA = [/(^|\/)var\/lib\/mysql(\/(?!mysql-grants)|$)/, /(^|\/)var\/lib\/pgsql(\/(?!.*backups)|$)/];

export const ApiscpOptions = z.strictObject({
  panel: z
    .string()
    .min(1)
    .default('/usr/local/apnscp')
    .describe('Where ApisCP itself is installed, absolute or relative to root.'),
  also: z
    .array(
      z
        .string()
        .min(1)
        .refine((path) => !SERVER_DATA.some((data) => data.test(path.replace(/\/+$/, ''))), {
          error: 'is the data of a database server, which a copy of files would break; its exports are taken already',
        }),
    )
    .default(RECOMMENDED)
    .describe(
      'Places besides the accounts, as paths or globs, absolute or relative to root; none of them need be there.',
    ),
  accountDatabases: z
    .boolean()
    .default(true)
    .describe('Accounts have databases: a run fails where the export of them leaves no new dump at all.'),
  mysqlGrants: z
    .boolean()
    .default(true)
    .describe('Dump the accounts and rights of MariaDB in each run: the file of logrotate may be empty, or a day old.'),
  mailboxMaps: z
    .boolean()
    .default(true)
    .describe('Dump the mailbox maps in each run: the file of logrotate may be empty, or a day old.'),
  applianceDatabase: z.string().min(1).default('appldb').describe('The PostgreSQL database that has the mailbox maps.'),
});
export type ApiscpOptions = z.infer<typeof ApiscpOptions>;

/** An account's directory: `site` and its number. Domains and groups are links to them, and may begin like one. */
export const ACCOUNT = /^site\d+$/;
const EACH = 'site+([0-9])';

/** Tables that make the mailbox maps, as ApisCP's own logrotate takes them. */
export const MAP_TABLES = ['siteinfo', 'uids', 'gids', 'domain_lookup', 'email_lookup'];

export const GRANTS = 'mysql-grants';
export const MAPS = 'mailer-table';
/** Its own last line, as that of pg_dump differs from version to version. */
const MAPS_END = '-- the mailbox maps end here';

const EXPORT_MS = 30 * 60_000;

/**
 * ApisCP: hundreds of accounts that are never stopped. Their shadow layers and metadata are stored while they are in use; their databases
 * are exported into them by ApisCP itself, first thing in each run.
 */
export const apiscp: App<ApiscpOptions> = {
  name: 'apiscp',
  about: "ApisCP: each account's shadow and info, its databases exported by ApisCP, grants and mailbox maps.",
  options: ApiscpOptions,
  plan({ root, options }, facts) {
    return {
      databases: databasesOf(options),
      fileSets: [
        accounts(root),
        ...options.also.map((at, i, all) =>
          placeOf(root, at, nameOf(at) + (all.slice(0, i).some((one) => nameOf(one) === nameOf(at)) ? `-${i}` : '')),
        ),
      ],
      uncovered: uncoveredIn(root, facts),
      leftOut: [
        'site*/fst: the merged view of an account, the same files again',
        'FILESYSTEMTEMPLATE: read-only layers that ApisCP installs',
        'site*/shadow/var/lib/mysql, site*/shadow/var/lib/pgsql: live files of the database servers; their exports are taken',
        'names of domains and groups: links to accounts, which ApisCP makes anew',
      ],
      afterRestore: [
        'systemctl reload fsmount   # or, for one account: /etc/systemd/user/fsmount.init reload_site site12',
        'EditDomain --reconfig site12   # for each account: applies its services again',
      ],
    };
  },
};

function accounts(root: string): FileSetSpec {
  return {
    name: 'accounts',
    root,
    include: [`${EACH}/shadow`, `${EACH}/info`],
    // In words that every engine understands.
    exclude: ['site*/shadow/var/lib/mysql', 'site*/shadow/var/lib/pgsql'],
    optional: false,
    change: 'live',
    mayBeEmpty: false,
    attributes: true,
    parts: true,
  };
}

/** One file set per place: its root is what comes before the first glob. */
function placeOf(site: string, pattern: string, name: string): FileSetSpec {
  const { base, glob } = picomatch.scan(resolve(site, pattern));
  const [root, include] = glob ? [base || '/', glob] : [dirname(base), literal(basename(base))];
  return {
    name,
    root,
    include: [include],
    exclude: [],
    optional: true,
    change: 'live',
    mayBeEmpty: true,
  };
}

/** `../../var/log/mailer_table*` → `var-log-mailer-table`. */
function nameOf(pattern: string): string {
  return pattern
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 60)
    .replace(/^-+|-+$/g, '');
}

function databasesOf({ mysqlGrants, mailboxMaps, applianceDatabase }: ApiscpOptions): DatabaseSpec[] {
  const output = { kind: 'command', mode: 'online', format: 'output' } as const;
  const tables = MAP_TABLES.flatMap((table) => ['-t', table]);
  const grants: DatabaseSpec = {
    ...output,
    name: GRANTS,
    // As ApisCP's logrotate has it, and without the date in its last line.
    dump: {
      argv: ['mysqldump', '--extended-insert=false', '--complete-insert=true', '--skip-dump-date', 'mysql'],
      timeoutMs: EXPORT_MS,
    },
    ends: '-- Dump completed',
    leastBytes: 100,
  };
  const maps: DatabaseSpec = {
    ...output,
    name: MAPS,
    dump: {
      argv: ['sh', '-c', `pg_dump "$@" && echo '${MAPS_END}'`, 'pg_dump', ...tables, applianceDatabase],
      timeoutMs: EXPORT_MS,
    },
    ends: MAPS_END,
    leastBytes: 100,
  };
  return [...(mysqlGrants ? [grants] : []), ...(mailboxMaps ? [maps] : [])];
}

/** Directories beside the accounts, and entries of accounts that are none of the three; told once for all accounts. */
function uncoveredIn(root: string, { entries }: SiteFacts): string[] {
  const known = new Set(['shadow', 'info', 'fst']);
  const odd = new Map<string, number>();
  const beside: string[] = [];
  for (const { path, dir } of entries) {
    const [top, name] = [basename(dirname(path)), basename(path)];
    if (resolve(dirname(path)) === resolve(root)) {
      if (dir && !ACCOUNT.test(name) && name !== 'FILESYSTEMTEMPLATE') beside.push(`${name}/`);
    } else if (ACCOUNT.test(top) && isWithin(path, join(root, top)) && !known.has(name))
      odd.set(`${name}${dir ? '/' : ''}`, (odd.get(`${name}${dir ? '/' : ''}`) ?? 0) + 1);
  }
  return [...beside, ...[...odd].map(([name, count]) => `site*/${name} (${count} accounts)`)];
}
