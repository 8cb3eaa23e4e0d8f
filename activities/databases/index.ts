import type { DatabaseSpec } from '../../src/core/plan.js';
import type { Database } from '../contracts.js';
import { boltDatabase } from './bolt.js';
import { commandDatabase } from './command.js';
import { httpDatabase } from './http.js';
import { mysqlDatabase } from './mysql.js';
import { postgresDatabase } from './postgres.js';
import { sqliteDatabase } from './sqlite.js';

/** Every kind of database that Holdfast dumps. */
export const databases: Record<DatabaseSpec['kind'], Database> = {
  sqlite: sqliteDatabase as Database,
  mysql: mysqlDatabase as Database,
  postgres: postgresDatabase as Database,
  command: commandDatabase as Database,
  http: httpDatabase as Database,
  bolt: boltDatabase as Database,
};
