import { createReadStream } from 'node:fs';
import { text } from 'node:stream/consumers';
import { isFailure } from '../../src/core/failures.js';
import type { Context } from '../contracts.js';
import { wasKilled } from '../tools/killed.js';
import { ident, type Server } from '../tools/postgres.js';

/** Without what only a superuser may give away. */
export const BARE = ['--no-owner', '--no-privileges'];

const NAME = '(?:"(?:[^"]|"")*"|\\S+)';
const CREATE = new RegExp(`^CREATE DATABASE ${NAME} (WITH TEMPLATE = template0 [^;]*);$`, 'm');
/** Heads of an archive's entries that are about the database, not about what is in it. */
const ABOUT_IT = /^-- Name: (?:.*; Type: DATABASE(?: PROPERTIES)?;|DATABASE .*; Type: (?:ACL|COMMENT);)/;
/** What belongs to the database as such: its owner, settings, rights and comment. */
const OWN = new RegExp(
  `^((?:ALTER|COMMENT ON) DATABASE |ALTER ROLE ${NAME} IN DATABASE |(?:GRANT|REVOKE) .* ON DATABASE )${NAME}( .*;)$`,
);

/**
 * Makes the staged database as the dump says in its own words: encoding and locale cannot be changed later. `turn` heads each script: one
 * that was killed must not make it after whoever removes it.
 */
export async function createLike(
  file: string,
  { staged, home, turn }: { staged: string; home: string; turn: string },
  superuser: boolean,
  { run, program, psql }: Server,
  ctx: Context,
): Promise<void> {
  let sql = '';
  const input = createReadStream(file, { highWaterMark: 1 << 20 });
  const options = ['--create', '--schema-only', '--section=pre-data', ...(superuser ? [] : BARE)];
  await run(program('pg_restore'), [...options, '-f', '-'], {
    input,
    onStdout: async (stdout) => {
      sql = await text(stdout);
    },
  }).finally(() => input.destroy());
  const words = sql
    .split(/^--\n(?=-- Name: )/m)
    .filter((block) => ABOUT_IT.test(block))
    .join('');
  const how = CREATE.exec(words)?.[1] ?? 'TEMPLATE template0';
  await psql(home, `${turn}CREATE DATABASE ${ident(staged)} ${how};`).catch((error) => {
    if (!isFailure(error, 'ToolFailed') || wasKilled(error)) throw error;
    ctx.note('the database gets the locale of this server: it does not know that of the dump');
    const encoding = /ENCODING = '[\w-]+'/.exec(how)?.[0] ?? '';
    return psql(home, `${turn}CREATE DATABASE ${ident(staged)} TEMPLATE template0 ${encoding};`);
  });
  const own = words.split('\n').flatMap((line) => {
    const [, before, after] = OWN.exec(line) ?? [];
    return before === undefined || /^ RENAME /.test(after ?? '') ? [] : [`${before}${ident(staged)}${after}`];
  });
  if (own.length > 0) await psql(home, own.join('\n'));
}
