import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Context } from '../contracts.js';
import { rows, sqlite, sqlText, uriOf } from '../tools/sqlite.js';
import { dumpedRows } from './seafile-dump.js';
import { lineWriter } from './seafile-lines.js';

/** Where the rows of one of Seafile's databases are: a SQLite file that nobody writes, or a schema in the dump of a server. */
export type Source = { file: string } | { dump: string; schema: string };

export interface Sources {
  seafile: Source;
  ccnet: Source;
}

type Part = keyof Sources;

/** Tables and columns that the rules need. Those without `must` came or went with versions of Seafile. */
const TABLES: { of: Part; table: string; columns: string[]; must?: true }[] = [
  { of: 'seafile', table: 'Repo', columns: ['repo_id'], must: true },
  { of: 'seafile', table: 'Branch', columns: ['name', 'repo_id', 'commit_id'], must: true },
  { of: 'seafile', table: 'RepoOwner', columns: ['repo_id', 'owner_id'], must: true },
  { of: 'seafile', table: 'VirtualRepo', columns: ['repo_id', 'origin_repo'] },
  { of: 'seafile', table: 'RepoInfo', columns: ['repo_id', 'is_encrypted'] },
  { of: 'seafile', table: 'RepoValidSince', columns: ['repo_id', 'timestamp'] },
  { of: 'seafile', table: 'RepoHistoryLimit', columns: ['repo_id', 'days'] },
  { of: 'seafile', table: 'RepoTrash', columns: ['repo_id', 'head_id'] },
  { of: 'seafile', table: 'GarbageRepos', columns: ['repo_id'] },
  { of: 'ccnet', table: 'EmailUser', columns: ['email'], must: true },
  { of: 'ccnet', table: 'LDAPUsers', columns: ['email'] },
];

/**
 * Puts the rows that the rules need into one SQLite database in `scratch`, from either kind of server: the rules join
 * them on disk, so that memory stays flat. Returns its path. Throws DatabaseMissing where a table lacks that Seafile always has.
 */
export async function gatherRows(sources: Sources, scratch: string, ctx: Context): Promise<string> {
  const target = join(scratch, 'rows.sqlite');
  await (await open(target, 'w', 0o600)).close();
  const script = TABLES.map(({ table, columns }) => `CREATE TABLE ${table} (${columns.join(', ')});`);
  const found = new Set<string>();
  const place = (sources.seafile as { dump?: string }).dump;
  if (place !== undefined) script.push(...(await importsOf(place, sources, scratch, found, ctx)));
  else
    for (const of of ['seafile', 'ccnet'] as const) {
      const { file } = sources[of] as { file: string };
      script.push(`ATTACH ${sqlText(uriOf(file, 'frozen'))} AS ${of};`);
      const query = "SELECT json_object('name', name) FROM sqlite_schema WHERE type = 'table'";
      const names = new Set<string>();
      for await (const { name } of rows<{ name: string }>(file, query, 'frozen', ctx)) names.add(name);
      for (const { table, columns } of TABLES.filter((one) => one.of === of && names.has(one.table))) {
        found.add(table);
        script.push(`INSERT INTO main.${table} SELECT ${columns.join(', ')} FROM ${of}.${table};`);
      }
    }
  const missing = TABLES.filter(({ table, must }) => must && !found.has(table)).map(({ table }) => table);
  if (missing.length > 0)
    throw ctx.fail('DatabaseMissing', `the databases of Seafile have no table ${missing.join(', ')}`, {
      advice: 'correct the names under options.mysql.schemas, or look whether they are those of Seafile',
    });
  script.push('CREATE INDEX b ON Branch (repo_id);', 'CREATE INDEX r ON Repo (repo_id);');
  await sqlite(target, script.join('\n'), { access: 'write' }, ctx);
  return target;
}

const END = '\u0001';

/** Writes the wanted rows of a dump to a file for each table; returns what imports them. */
async function importsOf(
  dump: string,
  sources: Sources,
  scratch: string,
  found: Set<string>,
  ctx: Context,
): Promise<string[]> {
  const schemaOf = (of: Part) => (sources[of] as { schema: string }).schema;
  const tables = new Map(TABLES.map((one) => [`${schemaOf(one.of)}.${one.table}`, one]));
  const writers = new Map<string, ReturnType<typeof lineWriter>>();
  const fileOf = (table: string) => join(scratch, `${table}.rows`);
  for await (const { schema, table, values } of dumpedRows(dump, (...at) => tables.has(at.join('.')))) {
    const writer = writers.get(table) ?? lineWriter(fileOf(table));
    writers.set(table, writer);
    const { columns } = tables.get(`${schema}.${table}`) ?? { columns: [] };
    await writer.put(columns.map((name) => (values[name] ?? '').replaceAll('\n', '?').replaceAll(END, '?')).join(END));
    ctx.beat();
  }
  for (const writer of writers.values()) await writer.end();
  for (const { table, must } of TABLES) if (!must || writers.has(table)) found.add(table);
  return [
    '.mode ascii',
    `.separator "\\001" "\\n"`,
    ...[...writers.keys()].map((table) => `.import ${sqlText(fileOf(table))} ${table}`),
  ];
}
