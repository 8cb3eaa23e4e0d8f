import { type FailureType, isFailure } from '../../src/core/failures.js';
import type { Context } from '../contracts.js';

interface Kind {
  codes: number[];
  type: FailureType;
  what: (name: string) => string;
  advice?: string;
}

/** An account lacks a right. */
export const RIGHTS = [1044, 1142, 1143, 1227, 1370, 1410, 1419];
/** Somebody else uses what is needed. */
export const LOCKED = [1205, 1213];

/** What error numbers of MariaDB and MySQL mean, for those that a person can do something about. */
const KINDS: Kind[] = [
  {
    codes: [1045, 1698, 1251, 1275, 2059, 1820, 1862, 4151],
    type: 'DatabaseDenied',
    what: (name) => `the server of ${name} refuses this user or password`,
  },
  {
    codes: RIGHTS,
    type: 'DatabaseDenied',
    what: (name) => `the account of ${name} lacks a right that this needs`,
    advice: 'grant it; the log named in the details says which',
  },
  { codes: [1049, 1146], type: 'DatabaseMissing', what: (name) => `the server of ${name} has no such schema or table` },
  {
    codes: [1040, 1053, 1077, 1152, 1158, 1159, 1160, 1161, 1927, 2002, 2003, 2005, 2006, 2013, 2055, 2026],
    type: 'DatabaseUnreachable',
    what: (name) => `the server of ${name} does not answer, or broke off`,
  },
  { codes: LOCKED, type: 'DatabaseLocked', what: (name) => `tables of ${name} are locked by another connection` },
  {
    codes: [1412, 1684],
    type: 'DumpIncomplete',
    what: (name) => `tables of ${name} were changed while they were dumped`,
  },
  {
    codes: [126, 127, 144, 145, 1034, 1035, 1194, 1195, 1712, 1877],
    type: 'DatabaseCorrupt',
    what: (name) => `a table of ${name} is damaged`,
  },
  {
    codes: [1356],
    type: 'DatabaseCorrupt',
    what: (name) => `a view of ${name} refers to what is not there`,
    advice: 'repair or drop the view that the log named in the details names',
  },
  { codes: [28, 1021, 1114], type: 'DiskFull', what: () => "the server's disk is full" },
];

/** `ERROR 1045 (28000) at line 1: …` of the client, `Got error: 1045: "…"` and `Couldn't execute '…': … (1142)` of the dump program. */
const CODE = /^ERROR (\d+)|\berror: (\d+)\b|\((\d{2,4})\)\s*$/m;

/** Says which of a server's ways to fail this is; any other error as it came. */
export function namedMysqlError(error: unknown, name: string, program: string, ctx: Context): unknown {
  if (!isFailure(error, 'ToolFailed')) return error;
  const details = (error.details?.[0] ?? {}) as { stderrTail?: string; log?: string };
  const said = details.stderrTail ?? '';
  const match = CODE.exec(said);
  const code = Number(match?.[1] ?? match?.[2] ?? match?.[3]);
  const kind = KINDS.find(({ codes }) => codes.includes(code));
  if (/has insufficient privileges to SHOW CREATE/.test(said))
    return ctx.fail('DatabaseDenied', `the account of ${name} may not read the text of a routine`, {
      advice:
        'grant it SHOW CREATE ROUTINE (MariaDB 11.3), SELECT on mysql.proc (MariaDB before), SHOW_ROUTINE (MySQL 8)',
      details: { tool: program, ...(details.log ? { log: details.log } : {}) },
      cause: error,
    });
  // Only its container can have gone: docker itself says so.
  if (!kind && /Error response from daemon|Cannot connect to the Docker daemon/.test(said))
    return ctx.fail('DatabaseUnreachable', `the container of ${name} went away`, { cause: error });
  if (!kind) return error;
  return ctx.fail(kind.type, `${kind.what(name)} (error ${code})`, {
    ...(kind.advice ? { advice: kind.advice } : {}),
    details: { tool: program, ...(details.log ? { log: details.log } : {}) },
    cause: error,
  });
}
