import { opendir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Check } from '../../src/core/report.js';
import { writeLines } from '../capture/lines.js';
import type { Context } from '../contracts.js';
import { rows, sqlText } from '../tools/sqlite.js';
import { type Tally, tally } from './tally.js';

/** Where something is wrong, told of a library: `damaged` ones are known, and counted apart. */
export interface Findings {
  bad(of: Tally, library: string, place: string): void;
  known: string[];
}

export function findings(damaged: readonly string[]): Findings {
  const known: string[] = [];
  return {
    known,
    bad(of, library, place) {
      if (!damaged.includes(library)) of.bad(place);
      else if (known.length < 20) known.push(place);
    },
  };
}

interface Rule {
  name: string;
  /** How many are looked at. */
  all: string;
  /** Those for which it does not hold: their library, and what is told of them. */
  broken: string;
  said: (all: number) => string;
}

const RULES: Rule[] = [
  {
    name: 'libraries',
    all: 'SELECT count(*) FROM Repo',
    broken: `SELECT repo_id, 'library ' || repo_id || ' has no branch master' FROM Repo
      WHERE repo_id NOT IN (SELECT repo_id FROM Branch WHERE name = 'master' AND repo_id IS NOT NULL)`,
    said: (all) => `each of ${all} libraries has its branch`,
  },
  {
    name: 'branches',
    all: 'SELECT count(*) FROM Branch',
    // One that is being deleted may have lost its row already.
    broken: `SELECT repo_id, 'branch ' || name || ' of ' || repo_id || ' has no library' FROM Branch
      WHERE repo_id NOT IN (SELECT repo_id FROM Repo UNION SELECT repo_id FROM RepoTrash UNION SELECT repo_id FROM GarbageRepos)`,
    said: (all) => `each of ${all} branches has its library`,
  },
  {
    name: 'virtual libraries',
    all: 'SELECT count(*) FROM VirtualRepo',
    broken: `SELECT repo_id, 'virtual library ' || repo_id || ' has no origin ' || origin_repo FROM VirtualRepo
      WHERE origin_repo NOT IN (SELECT repo_id FROM Repo)`,
    said: (all) => `each of ${all} virtual libraries has its origin`,
  },
  {
    name: 'owners',
    all: 'SELECT count(*) FROM RepoOwner',
    broken: `SELECT repo_id, 'library ' || repo_id || ' belongs to ' || owner_id || ', who has no account' FROM RepoOwner
      WHERE repo_id IN (SELECT repo_id FROM Repo) AND owner_id NOT LIKE '%@seafile\\_group' ESCAPE '\\'
        AND lower(owner_id) NOT IN (SELECT lower(email) FROM EmailUser UNION SELECT lower(email) FROM LDAPUsers)`,
    said: (all) => `each of ${all} owners has an account`,
  },
];

export const RULE_NAMES = RULES.map(({ name }) => name);

/** What must hold between the rows (facts 2.5). */
export async function rowRules(database: string, found: Findings, mayBeEmpty: boolean, ctx: Context): Promise<Check[]> {
  const checks: Check[] = [];
  for (const { name, all, broken, said } of RULES) {
    const seen = tally();
    const [{ n } = { n: 0 }] = await every<{ n: number }>(database, `SELECT json_object('n', (${all}))`, ctx);
    if (name === 'libraries' && n === 0 && !mayBeEmpty) seen.bad('there is no library');
    const query = `SELECT json_object('library', a, 'place', b) FROM (SELECT NULL AS a, NULL AS b WHERE 0 UNION ALL ${broken})`;
    for await (const { library, place } of rows<{ library: string; place: string }>(database, query, 'frozen', ctx))
      found.bad(seen, library, place);
    checks.push(seen.check(name, () => said(n)));
  }
  return checks;
}

async function every<T>(database: string, query: string, ctx: Context): Promise<T[]> {
  const all: T[] = [];
  for await (const row of rows<T>(database, query, 'frozen', ctx)) all.push(row);
  return all;
}

/** Reported, never failed: Seafile writes objects before rows, and removes rows before objects. */
export async function withoutRow(database: string, storage: string, scratch: string, ctx: Context): Promise<Check> {
  const names = join(scratch, 'directories');
  async function* directories() {
    for (const kind of ['commits', 'fs', 'blocks']) {
      const dir = await opendir(join(storage, kind)).catch(() => undefined);
      for await (const entry of dir ?? []) if (entry.isDirectory()) yield entry.name.replaceAll('\n', '?');
    }
  }
  await writeFile(names, '');
  await writeLines(names, directories());
  const query = [
    'CREATE TEMP TABLE found(name);',
    '.separator "\\001" "\\n"',
    `.import ${sqlText(names)} found`,
    `SELECT json_object('name', name) FROM (SELECT DISTINCT name FROM found EXCEPT SELECT repo_id FROM Repo
      EXCEPT SELECT repo_id FROM RepoTrash EXCEPT SELECT repo_id FROM GarbageRepos)`,
  ].join('\n');
  const places: string[] = [];
  let count = 0;
  for await (const { name } of rows<{ name: string }>(database, query, 'frozen', ctx)) {
    count++;
    if (places.length < 20) places.push(name);
  }
  const evidence =
    count === 0
      ? 'each directory has its library'
      : `${count} libraries have objects and no row: deleted, or newer than the databases`;
  return { name: 'directories without a library', ok: true, evidence, ...(count > 0 ? { places } : {}) };
}
