import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Fingerprint } from '../../src/core/manifest.js';
import type { Context } from '../contracts.js';
import { lexDump, unquoted } from './mysql-lex.js';

const NAME = '`(?:[^`]|``)+`';
const USE = new RegExp(`^USE (${NAME});`);
const TABLE = new RegExp(`^CREATE TABLE (?:IF NOT EXISTS )?(${NAME})`);
const VIEW = new RegExp(`\\bVIEW (${NAME})`);
/** The first of them is the kind. A trigger stands as its author wrote it, `trigger` too; words further on are its body or a view's text. */
const KIND = /\b(VIEW|TRIGGER|PROCEDURE|FUNCTION|EVENT)\s/i;
/** Version comments may stand before any part of a statement. */
const CREATE = /^(?:\/\*M?!\d+ )?CREATE\b/;
const TRAILER = '-- Dump completed';

/** What the text of a dump says that it holds. */
export interface DumpText {
  fingerprint: Fingerprint;
  schemas: string[];
  /** Views, triggers, routines and events per schema: `shop TRIGGER` → 2. */
  objects: Record<string, number>;
  /** It ends as a complete one does. */
  whole: boolean;
}

export interface TextReader {
  push(chunk: Buffer): void;
  end(): DumpText;
}

/**
 * Reads a dump while it passes: rows are counted in the INSERTs themselves, so that the counts are the dump's, whatever happens to the
 * live tables meanwhile. The schema's hash leaves AUTO_INCREMENT out, which moves without a change of the schema.
 */
export function readText(): TextReader {
  let schema = '';
  const schemas = new Set<string>();
  const tables = new Map<string, number>();
  const views = new Set<string>();
  const objects: Record<string, number> = {};
  const add = (kind: string, by = 1) => {
    const key = `${schema} ${kind}`;
    objects[key] = (objects[key] ?? 0) + by;
  };
  const statements: string[] = [];
  let last = '';
  const lexer = lexDump({
    rows: (table, count) => tables.set(`${schema}.${table}`, (tables.get(`${schema}.${table}`) ?? 0) + count),
    statement: (text) => {
      if (text !== '') last = text;
      const use = USE.exec(text)?.[1];
      if (use !== undefined) {
        schema = unquoted(use);
        schemas.add(schema);
      }
      if (!CREATE.test(text)) return;
      statements.push(`${schema}\t${text.replace(/ AUTO_INCREMENT=\d+/, '')}`);
      const table = TABLE.exec(text)?.[1];
      if (table !== undefined) {
        const name = `${schema}.${unquoted(table)}`;
        tables.set(name, tables.get(name) ?? 0);
        return;
      }
      const kind = KIND.exec(
        text
          .split('`')
          .filter((_, i) => i % 2 === 0)
          .join(' '),
      )?.[1]?.toUpperCase();
      const view = VIEW.exec(text)?.[1];
      // A view comes twice: first as a stand-in for those that refer to it.
      if (kind === 'VIEW') {
        if (!views.has(`${schema}.${view}`)) add(kind);
        views.add(`${schema}.${view}`);
      } else if (kind !== undefined) add(kind);
    },
  });
  return {
    push: (chunk) => lexer.push(chunk),
    end: () => {
      const { open: cut } = lexer.end();
      return {
        fingerprint: {
          tables: Object.fromEntries([...tables].sort(([a], [b]) => (a < b ? -1 : 1))),
          schemaSha256: createHash('sha256').update(statements.sort().join('\n')).digest('hex'),
          userVersion: 0,
        },
        schemas: [...schemas],
        objects,
        whole: !cut && last.startsWith(TRAILER),
      };
    },
  };
}

/** Reads a dump as it lies. Throws DatabaseMissing, DumpIncomplete. */
export async function readDump(file: string, ctx: Context): Promise<DumpText> {
  await assertWhole(file, ctx);
  const reader = readText();
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) {
    reader.push(chunk as Buffer);
    ctx.beat();
  }
  const text = reader.end();
  if (!text.whole) throw ctx.fail('DumpIncomplete', `${file} is cut`);
  return text;
}

/** A whole dump says so on its last line. */
export async function assertWhole(file: string, ctx: Context): Promise<void> {
  const handle = await open(file).catch((cause) => {
    throw ctx.fail('DatabaseMissing', `there is no ${file}`, { cause });
  });
  try {
    const { size } = await handle.stat();
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(128), 0, 128, Math.max(0, size - 128));
    const end = buffer.subarray(0, bytesRead).toString('latin1').trimEnd().split('\n').at(-1) ?? '';
    if (!end.startsWith(TRAILER)) throw ctx.fail('DumpIncomplete', `${file} does not end with ${TRAILER}`);
  } finally {
    await handle.close();
  }
}
