/** What a dump's text is made of, in its order. */
export interface DumpParts {
  /** A whole statement that is no data (its lines, and the delimiter that ended it), a comment, or a DELIMITER line. */
  statement(text: string): void;
  /** Bytes of an INSERT, as they come. */
  data?(bytes: Buffer): void;
  /** An INSERT into this table (as SQL has it, unquoted) has ended: so many rows. */
  rows(table: string, count: number): void;
}

export interface Lexer {
  push(chunk: Buffer): void;
  /** The rest after the last newline, and whether it ended within an INSERT or a statement. */
  end(): { open: boolean };
}

const SANDBOX = '/*M!999999\\-';
const INSERT = Buffer.from('INSERT INTO `');
const [NEWLINE, BACKTICK, QUOTE, BACKSLASH, OPEN, CLOSE, SEMICOLON, V] = [10, 96, 39, 92, 40, 41, 59, 86];

/**
 * Reads what mariadb-dump and mysqldump write, in pieces of any size: schema statements as text, data without keeping it. It relies on
 * how they write: an INSERT begins a line, strings are in single quotes with backslashes, a newline within a string is `\\n`.
 */
export function lexDump(parts: DumpParts): Lexer {
  let line: Buffer[] = [];
  let lineLength = 0;
  let statement = '';
  let delimiter = ';';
  /** Where in an INSERT: before and within its first name, before VALUES, after it. */
  let at: 'no' | 'name' | 'columns' | 'values' = 'no';
  let name: number[] = [];
  let quoted = false;
  let inString = false;
  let escaped = false;
  let depth = 0;
  let count = 0;

  const endLine = (): void => {
    const text = Buffer.concat(line, lineLength).toString('utf8');
    line = [];
    lineLength = 0;
    const changed = statement === '' ? /^DELIMITER (\S+)/.exec(text)?.[1] : undefined;
    if (changed !== undefined) delimiter = changed;
    // The sandbox comment of newer programs ends without a delimiter.
    const alone =
      statement === '' && (changed !== undefined || text === '' || text.startsWith('--') || text.startsWith(SANDBOX));
    if (!alone) statement += statement === '' ? text : `\n${text}`;
    if (!alone && !text.endsWith(delimiter)) return;
    const whole = alone ? text : statement;
    statement = '';
    parts.statement(whole);
  };

  /** Its head, up to VALUES; returns the index after what was read. */
  const head = (chunk: Buffer, from: number): number => {
    let i = from;
    for (; i < chunk.length && at !== 'values'; i++) {
      const c = chunk[i] as number;
      if (at === 'name') {
        // A doubled backtick is one of the name, and the name goes on.
        if (c === BACKTICK) quoted = !quoted;
        if (quoted || c === BACKTICK) name.push(c);
        else at = 'columns';
      } else if (c === BACKTICK) quoted = !quoted;
      else if (c === V && !quoted) at = 'values';
    }
    return i;
  };

  /** Its rows. All bytes of a dump pass here: what is looked at for each lies in variables of this call. */
  const values = (chunk: Buffer, from: number): number => {
    let [i, string, escapes, nested, rows] = [from, inString, escaped, depth, count];
    const { length } = chunk;
    for (; i < length; i++) {
      const c = chunk[i];
      if (string) {
        if (escapes) escapes = false;
        else if (c === BACKSLASH) escapes = true;
        else if (c === QUOTE) string = false;
      } else if (c === QUOTE) string = true;
      else if (c === OPEN) {
        if (nested++ === 0) rows++;
      } else if (c === CLOSE) nested--;
      else if (c === SEMICOLON && nested === 0) {
        at = 'no';
        // The newline that ends it is data too.
        i += chunk[i + 1] === NEWLINE ? 2 : 1;
        break;
      }
    }
    [inString, escaped, depth, count] = [string, escapes, nested, rows];
    if (at === 'no') parts.rows(unquoted(Buffer.from(name).toString('utf8')), count);
    return i;
  };

  return {
    push(chunk) {
      let i = 0;
      while (i < chunk.length) {
        if (at !== 'no') {
          const end = at === 'values' ? values(chunk, i) : head(chunk, i);
          parts.data?.(chunk.subarray(i, end));
          i = end;
          continue;
        }
        const newline = chunk.indexOf(NEWLINE, i);
        const end = newline < 0 ? chunk.length : newline;
        // As soon as there are as many bytes as tell an INSERT from another line.
        if (
          statement === '' &&
          delimiter === ';' &&
          lineLength < INSERT.length &&
          lineLength + end - i >= INSERT.length
        ) {
          const before = Buffer.concat(line, lineLength);
          const next = i + INSERT.length - lineLength;
          if (Buffer.concat([before, chunk.subarray(i, next)]).equals(INSERT)) {
            parts.data?.(INSERT);
            [line, lineLength, i] = [[], 0, next];
            [at, name, quoted, count, depth, inString, escaped] = ['name', [BACKTICK], true, 0, 0, false, false];
            continue;
          }
        }
        line.push(chunk.subarray(i, end));
        lineLength += end - i;
        if (newline >= 0) endLine();
        i = end + 1;
      }
    },
    end() {
      if (lineLength > 0) endLine();
      return { open: at !== 'no' || statement !== '' };
    },
  };
}

/** The name in backticks, without them. */
export function unquoted(quotedName: string): string {
  return quotedName.slice(1, -1).replaceAll('``', '`');
}
