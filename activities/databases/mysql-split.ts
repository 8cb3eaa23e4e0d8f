import { Transform } from 'node:stream';
import { sqlName } from '../tools/mysql.js';
import { lexDump, unquoted } from './mysql-lex.js';

const NAME = '`(?:[^`]|``)+`';
const USE = new RegExp(`^USE (${NAME});`);
const DATABASE = new RegExp(`^(CREATE DATABASE (?:/\\*!\\d+ IF NOT EXISTS\\*/ )?)(${NAME})`);
const SETTING = /^(?:\/\*!\d+ )?SET\b/;
const OBJECT =
  /^(?:\/\*!\d+ )?(?:CREATE[^`]*\bVIEW `|CREATE ALGORITHM\b|DROP (?:VIEW|PROCEDURE|FUNCTION|EVENT|TRIGGER|PACKAGE)\b)/;

export interface Split {
  /** Tables and rows, each schema under the name that `nameOf` gives it. */
  data: Transform;
  /** Views, triggers, routines and events, as statements in their order with their DELIMITER lines; complete when `data` has ended. */
  objects: string[];
}

/**
 * Takes a dump apart: tables can be loaded under another schema's name and moved between schemas, views, triggers, routines and events
 * can not: the server refuses, or they go on naming where they were.
 */
export function splitDump(nameOf: (schema: string) => string): Split {
  const objects: string[] = [];
  let inBody = false;
  let out = (_: Buffer | string): void => {};
  const lexer = lexDump({
    rows: () => {},
    data: (bytes) => out(bytes),
    statement: (text) => {
      if (text === '' || text.startsWith('--') || text.startsWith('/*M!')) return;
      const delimiter = /^DELIMITER (\S+)/.exec(text)?.[1];
      if (delimiter !== undefined) inBody = delimiter !== ';';
      if (delimiter !== undefined || inBody || OBJECT.test(text)) return void objects.push(text);
      const use = USE.exec(text)?.[1];
      if (SETTING.test(text) || use !== undefined) objects.push(text);
      const named =
        use === undefined
          ? text.replace(DATABASE, (_, begin: string, name: string) => begin + sqlName(nameOf(unquoted(name))))
          : `USE ${sqlName(nameOf(unquoted(use)))};`;
      out(`${named}\n`);
    },
  });
  const data = new Transform({
    transform(chunk: Buffer, _, done) {
      out = (piece) => this.push(piece);
      lexer.push(chunk);
      done();
    },
    flush(done) {
      out = (piece) => this.push(piece);
      lexer.end();
      done();
    },
  });
  return { data, objects };
}

/** The statements with other schemas' names, and with events switched off: for a rehearsal, in which none must run. */
export function rehearsal(objects: readonly string[], nameOf: (schema: string) => string): string[] {
  return objects
    .map((text) => (isEvent(text) ? text.replace(ENABLED, '$1 DISABLE') : text))
    .filter((text) => !isEvent(text) || SWITCHED_OFF.test(text))
    .map((text) => text.replace(USE, (_, name: string) => `USE ${sqlName(nameOf(unquoted(name)))};`));
}

const ENABLED = /( ON COMPLETION (?:NOT )?PRESERVE) ENABLE\b/;
const SWITCHED_OFF = / ON COMPLETION (?:NOT )?PRESERVE (?:\w+_)?DISABLE\b/;

const isEvent = (text: string): boolean => /^\/\*!\d+ CREATE\*\/.*\bEVENT\b/s.test(text.replace(/`(?:[^`]|``)+`/g, ''));
