import { type FailureDetails, isFailure } from '../../src/core/failures.js';
import type { Context } from '../contracts.js';
import { wasKilled } from '../tools/killed.js';
import { type MysqlServer, type MysqlSpec, sqlString } from '../tools/mysql.js';
import { RIGHTS } from '../tools/mysql-errors.js';
import { dumpText } from './mysql-dump.js';
import { dropsOf, schemasOf } from './mysql-look.js';
import { rehearsal, splitDump } from './mysql-split.js';

/** Throws RestoreRefused: a foreign key from one schema into another follows the table that is put aside. */
export async function mayBeExchanged(
  spec: MysqlSpec,
  staged: (schema: string) => string,
  server: MysqlServer,
  ctx: Context,
): Promise<void> {
  const schemas = [...spec.schemas, ...spec.schemas.map(staged)].map(sqlString).join(', ');
  const keys = await server.query(
    `SELECT DISTINCT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME, ' (', CONSTRAINT_NAME, ')') FROM information_schema.KEY_COLUMN_USAGE
     WHERE REFERENCED_TABLE_SCHEMA <> TABLE_SCHEMA
     AND (BINARY TABLE_SCHEMA IN (${schemas}) OR BINARY REFERENCED_TABLE_SCHEMA IN (${schemas}));`,
  );
  if (keys.length === 0) return;
  throw ctx.fail(
    'RestoreRefused',
    `${keys[0]?.[0]} refers from one schema into another, so ${spec.name} cannot be exchanged`,
    {
      advice: 'restore into a directory (--target) and load the dump by hand',
      details: { places: keys.slice(0, 20).map(([key = '']) => key) },
    },
  );
}

/** Makes views, triggers and routines once where nobody uses them: a right that lacks shows while the application runs. */
export async function rehearse(
  spec: MysqlSpec,
  objects: readonly string[],
  staged: (schema: string) => string,
  server: MysqlServer,
  ctx: Context,
): Promise<void> {
  try {
    await server.execute(`${rehearsal(objects, staged).join('\n')}\n`);
  } catch (cause) {
    // What refers to another schema's live table may find it only once that is restored too.
    if (!isFailure(cause, 'DatabaseMissing')) {
      if (!isFailure(cause, 'ToolFailed') || wasKilled(cause)) throw cause;
      throw ctx.fail('RestoreRefused', `views, triggers or routines of ${spec.name} cannot be made on that server`, {
        advice: 'read the log named in the details; restore into a directory (--target) and load the dump by hand',
        details: cause.details?.[0] as FailureDetails,
        cause,
      });
    }
  }
  await dropObjects(spec.schemas.map(staged), server);
}

/**
 * Makes the live views, triggers, routines and events once beside: what the account could not read, or make anew, would be lost where the
 * exchange is taken back. Throws RestoreRefused. A live state that is a wreck is none the worse for it.
 */
export async function mayBePutBack(
  spec: MysqlSpec,
  staged: (schema: string) => string,
  server: MysqlServer,
  ctx: Context,
): Promise<void> {
  const refuse = (cause?: unknown): Error =>
    ctx.fail('RestoreRefused', `the account of ${spec.name} could not put its views, triggers or routines back`, {
      advice: 'give it the rights of their definers, as the log says, or restore into a directory (--target)',
      cause,
    });
  const there = await schemasOf(spec.schemas, server);
  if (there.length === 0) return;
  const { data, objects } = splitDump((schema) => schema);
  await dumpText({ ...spec, schemas: there }, server, { rows: false, target: data.resume() }, ctx).catch((cause) => {
    if (isFailure(cause, 'DatabaseDenied')) throw refuse(cause);
    if (!isFailure(cause)) throw cause;
  });
  const errors = await server.execute(`${rehearsal(objects, staged).join('\n')}\n`, { force: true });
  if (errors.some((code) => RIGHTS.includes(code))) throw refuse();
  await dropObjects(spec.schemas.map(staged), server);
}

async function dropObjects(schemas: readonly string[], server: MysqlServer): Promise<void> {
  await server.execute(`${(await dropsOf(schemas, server)).join('\n')}\n`);
}
