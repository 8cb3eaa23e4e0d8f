/** Roles and tablespaces of the server, beside the dump. */
export const GLOBALS = 'globals.sql';

const NAME = '(?:"(?:[^"]|"")*"|[^" ;]+)';
const LINE = new RegExp(
  `^(?:CREATE ROLE (${NAME});|ALTER ROLE (${NAME}) (?!IN DATABASE ).*;|GRANT ${NAME} TO (${NAME}).*;)$`,
);
const unquoted = (name: string) => (name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name);

/**
 * Of the roles of a server (`pg_dumpall --globals-only`), the statements that make those which another server lacks, with their passwords
 * and memberships. What is there is left as it is. Tablespaces are not made: their directories belong to a machine.
 */
export function rolesFor(globals: string, known: readonly string[]): { script: string; made: string[] } {
  const made: string[] = [];
  const lines = globals.split('\n').filter((line) => {
    const [, created, altered, member] = LINE.exec(line) ?? [];
    const role = created ?? altered ?? member;
    if (role === undefined || known.includes(unquoted(role))) return false;
    if (created !== undefined) made.push(unquoted(created));
    return true;
  });
  // Who granted a membership may be one of those that are not here.
  return { script: lines.map((line) => line.replace(/ GRANTED BY .*;$/, ';')).join('\n'), made };
}
