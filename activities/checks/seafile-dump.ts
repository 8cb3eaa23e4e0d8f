import { readLines } from '../capture/lines.js';

/** One row of a table in a dump of MySQL or MariaDB; values as text. */
export interface DumpedRow {
  schema: string;
  table: string;
  values: Record<string, string | null>;
}

/**
 * Rows of some tables of a dump, streamed from its text: a backup must see what its dump refers to where no database
 * server is at hand. `wanted` says which; all other tables are passed over.
 */
export async function* dumpedRows(
  file: string,
  wanted: (schema: string, table: string) => boolean,
): AsyncGenerator<DumpedRow> {
  const columns = new Map<string, string[]>();
  let schema = '';
  let defining: string[] | undefined;
  let reading: { table: string; names: string[]; tuples: Tuples } | undefined;
  for await (const line of readLines(file)) {
    let text = line;
    if (reading === undefined) {
      const name = (pattern: RegExp) => pattern.exec(line)?.[1]?.replaceAll('``', '`');
      schema = name(/^USE `(.+)`;/) ?? schema;
      const created = name(/^CREATE TABLE (?:IF NOT EXISTS )?`(.+)` \($/);
      if (created !== undefined) {
        defining = [];
        columns.set(created, defining);
      }
      const column = name(/^ {2}`((?:[^`]|``)+)` /);
      if (column !== undefined) defining?.push(column);
      const insert = /^INSERT (?:IGNORE )?INTO `((?:[^`]|``)+)`(?: \((.*?)\))? VALUES/.exec(line);
      if (!insert?.[1] || !wanted(schema, insert[1])) continue;
      const listed = insert[2]?.split(',').map((each) => each.trim().replaceAll('`', ''));
      reading = { table: insert[1], names: listed ?? columns.get(insert[1]) ?? [], tuples: new Tuples() };
      text = line.slice(insert[0].length);
    }
    const { table, names, tuples } = reading;
    for (const row of tuples.feed(text))
      yield { schema, table, values: Object.fromEntries(names.map((each, i) => [each, row[i] ?? null])) };
    if (tuples.ended) reading = undefined;
  }
}

const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t', 0: '\0', Z: '\x1a', b: '\b' };

/** The lists of values of one INSERT, which may go on over several lines (MariaDB writes one row in each). */
class Tuples {
  ended = false;
  private row: (string | null)[] | undefined;
  private value = '';
  private text = false;
  private quoted = false;

  *feed(line: string): Generator<(string | null)[]> {
    for (let i = 0; i < line.length && !this.ended; i++) {
      const char = line[i] as string;
      if (this.quoted) {
        if (char === '\\') this.value += ESCAPES[line[++i] ?? ''] ?? line[i] ?? '';
        else if (char !== "'") this.value += char;
        else if (line[i + 1] === "'") this.value += line[++i];
        else this.quoted = false;
      } else if (char === "'") {
        // What stands before a text names its character set.
        this.quoted = this.text = true;
        this.value = '';
      } else if (this.row === undefined) {
        if (char === '(') this.row = [];
        else if (char === ';') this.ended = true;
      } else if (char === ',' || char === ')') {
        this.row.push(this.text ? this.value : this.value.trim() === 'NULL' ? null : this.value.trim());
        this.value = '';
        this.text = false;
        if (char === ')') {
          yield this.row;
          this.row = undefined;
        }
      } else if (!this.text) this.value += char;
    }
  }
}
