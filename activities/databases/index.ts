import type { DatabaseSpec } from '../../src/core/plan.js';
import type { Database } from '../contracts.js';
import { sqliteDatabase } from './sqlite.js';

/** Every kind of database that Holdfast dumps. */
export const databases: Record<DatabaseSpec['kind'], Database> = { sqlite: sqliteDatabase };
