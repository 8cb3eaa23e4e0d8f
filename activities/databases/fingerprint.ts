import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Fingerprint } from '../../src/core/manifest.js';
import { freshDir, workOf } from '../capture/workdir.js';
import type { Context } from '../contracts.js';
import { type Access, sqlite } from '../tools/sqlite.js';

type Line =
  | { k: 'user_version' | 'application_id'; n: number }
  | { k: 'schema'; sql: string }
  | { k: 'rows'; t: string; n: number };

/** SQLite's own tables come and go by themselves (`sqlite_stat1`), so they tell no two states apart. */
const OURS = "name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";

/**
 * Tables, rows and schema in one process and one transaction, so that they belong together. Virtual tables have no
 * rows of their own (rootpage 0, and their module may not be built in): their shadow tables are counted.
 */
export async function fingerprint(path: string, access: Access, ctx: Context): Promise<Fingerprint> {
  const scratch = await freshDir(workOf(ctx));
  const counts = `"${join(scratch, 'counts.sql').replace(/[\\"]/g, '\\$&')}"`;
  const script = [
    'BEGIN;',
    "SELECT json_object('k', 'user_version', 'n', user_version) FROM pragma_user_version;",
    "SELECT json_object('k', 'application_id', 'n', application_id) FROM pragma_application_id;",
    `SELECT json_object('k', 'schema', 'sql', type || char(9) || name || char(9) || tbl_name || char(9) || coalesce(sql, '')) FROM sqlite_schema WHERE ${OURS};`,
    // A statement per table: one compound SELECT ends at 500 terms.
    `.once ${counts}`,
    `SELECT printf('SELECT json_object(''k'', ''rows'', ''t'', %Q, ''n'', (SELECT count(*) FROM "%w"));', name, name) FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 AND ${OURS};`,
    `.read ${counts}`,
    'COMMIT;',
  ].join('\n');
  const tables: [string, number][] = [];
  const schema: string[] = [];
  const versions = { user_version: 0, application_id: 0 };
  try {
    const onLine = (text: string) => {
      const line = JSON.parse(text) as Line;
      if (line.k === 'rows') tables.push([line.t, line.n]);
      else if (line.k === 'schema') schema.push(line.sql);
      else versions[line.k] = line.n;
    };
    await sqlite(path, script, { access, onLine }, ctx);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return {
    tables: Object.fromEntries(tables.sort(([a], [b]) => (a < b ? -1 : 1))),
    schemaSha256: createHash('sha256').update(schema.sort().join('\n')).digest('hex'),
    userVersion: versions.user_version,
    applicationId: versions.application_id,
  };
}
