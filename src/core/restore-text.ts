import { consistencyWords, type Manifest } from './manifest.js';
import type { RepositorySpec } from './plan.js';

interface RestoreWay {
  repository: Pick<RepositorySpec, 'name' | 'engine' | 'location'>;
  /** Shell lines that put the snapshot below `./restored`. */
  commands: string[];
}

const TOOLS: Record<RepositorySpec['engine'], string> = {
  restic: 'restic 0.14 or newer',
  archive: 'GNU tar, zstd or gzip, and age where it is encrypted',
  rsync: 'rsync',
  rclone: 'rclone 1.60 or newer, gzip, and setfattr for extended attributes',
  ubackup: 'openssl, gzip, GNU tar, and rclone where it lies in a bucket',
};

/** RESTORE.md: how a person gets this capture back with the engine's own tools, without Holdfast and without Temporal. */
export function restoreText(
  manifest: Manifest,
  ways: readonly RestoreWay[],
  afterRestore: readonly string[] = [],
): string {
  const { site, app, host, captureId, capturedAt, consistency, staging } = manifest;
  return [
    `# Restore ${site} as of ${capturedAt}`,
    '',
    `Application ${app} on host ${host}, capture ${captureId}, taken ${consistency === 'stopped' ? 'while it was stopped' : 'while it ran'}.`,
    'This needs neither Holdfast nor Temporal. Run the lines with `sh`, as root where owners must come back.',
    '',
    '## 1. Get the files, below ./restored',
    '',
    ...ways.flatMap(wayLines),
    '## 2. Stop the application, and keep what is there now',
    '',
    'Move aside whatever step 3 puts in place; delete it only when the restored application has proven itself.',
    '',
    '## 3. Put everything where it belongs',
    '',
    ...fenced([
      // Files first: where all is gone they bring the directories of the databases, with their owners.
      ...manifest.fileSets.flatMap((set) => fileSetLines(set, staging)),
      ...manifest.databases.flatMap((database) => databaseLines(database, staging)),
    ]),
    `What was taken, with sizes and hashes: \`./restored${staging}/manifest.json\`.`,
    ...(manifest.uncovered.length ? ['', `Not in this backup: ${manifest.uncovered.join(', ')}.`] : []),
    '',
    '## 4. Start the application, and look at it',
    '',
    // No fence: whoever runs all of them as a script reads these first.
    ...afterRestore.map((line) => `Then run: \`${line}\``),
    ...(afterRestore.length > 0 ? [''] : []),
    ...manifest.databases.map(
      ({ name, fingerprint: { tables }, consistency }) =>
        `- database ${name}: ${Object.keys(tables).length} tables, ${Object.values(tables).reduce((a, b) => a + b, 0)} rows${consistency ? `, ${consistencyWords(consistency)}` : ''}`,
    ),
    ...manifest.fileSets.map(({ name, files, bytes }) => `- files ${name}: ${files} files, ${bytes} bytes`),
    '',
  ].join('\n');
}

function wayLines({ repository, commands }: RestoreWay): string[] {
  return [
    `### From ${repository.name} (${repository.location})`,
    '',
    `Needs ${TOOLS[repository.engine]}.`,
    '',
    ...fenced(commands),
  ];
}

/** How a dump of a kind that lives in a server goes back; the names of its server are in the config beside it. */
const IMPORTS: Partial<Record<string, (from: string, also: string[]) => string | string[]>> = {
  mysql: (from, also) => [
    `mysql < ${from}   # or mariadb; makes its tables anew: into an empty server, or after a dump of what is there`,
    ...also.map((accounts) => `mysql < ${accounts}   # the accounts and their rights`),
  ],
  // psql goes on where a role is there already.
  postgres: (from, also) => [
    ...also.map((roles) => `psql --dbname=postgres --file=${roles}`),
    `pg_restore --create --exit-on-error --dbname=postgres ${from}   # makes it anew: rename or drop what is there first`,
  ],
};

function databaseLines(database: Manifest['databases'][number], staging: string): string[] {
  const { name, path, file, format, kind, mode, uid, gid } = database;
  const from = quoted(`./restored${staging}/${file}`);
  if (path === undefined) {
    const also = (database.also ?? []).map((each) => quoted(`./restored${staging}/${each.file}`));
    const byHand = `# ${name}: ${from} is what its program printed: import it with its own tools`;
    return [IMPORTS[kind]?.(from, also) ?? byHand].flat();
  }
  const to = quoted(path);
  const made = {
    varasto: importLine(path, from),
    sql: `sqlite3 ${to} < ${from}`,
  };
  const loaded = made[format as keyof typeof made] ?? `cp ${from} ${to}`;
  return [
    `mkdir -p ${quoted(path.slice(0, path.lastIndexOf('/')) || '/')}`,
    // A write-ahead log of the old database would undo the restored one.
    `rm -f ${[path, `${path}-wal`, `${path}-shm`, `${path}-journal`].map(quoted).join(' ')}`,
    loaded,
    ...(uid === undefined || gid === undefined ? [] : [`chown ${uid}:${gid} ${to}`]),
    ...(mode === undefined ? [] : [`chmod ${(mode & 0o7777).toString(8)} ${to}`]),
  ];
}

/** Varasto's own import, of the version that exported. It takes its place from a config of its own, and refuses one that is taken. */
function importLine(path: string, from: string): string {
  const config = quoted(JSON.stringify({ db_location: path }));
  return `(mkdir -p ./import && cd ./import && printf '%s' ${config} > config.json && sto server dbimport) < ${from}`;
}

function fileSetLines({ name, root, where }: Manifest['fileSets'][number], staging: string): string[] {
  const from = where === 'staged' ? `${staging}/files/${name}` : root;
  return [`mkdir -p ${quoted(root)}`, `cp -a ${quoted(`./restored${from}`)}/. ${quoted(root)}/`];
}

function fenced(commands: readonly string[]): string[] {
  return ['```sh', ...commands, '```', ''];
}

function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
