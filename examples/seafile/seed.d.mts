import type { Library } from './library.mjs';

export const MAIN: string;
export const VIRTUAL: string;
export const SECRET: string;

/** What a test damages: ids of objects that the heads need. */
export interface SeafileSite {
  root: string;
  top: string;
  storage: string;
  libraries: { main: Library; virtual: Library; secret: Library };
  /** A block of the newest state, one that only history has, and one of the encrypted library. */
  blocks: { now: string; past: string; secret: string };
  fs: { folder: string };
  commits: { first: string; head: string; virtual: string; secret: string };
  /** Rows by schema, for a server: DDL and INSERTs that SQLite and MySQL both take. */
  sql: Record<'ccnet' | 'seafile' | 'seahub', string[]>;
  /** Path of each SQLite database. */
  databases: string[];
}

export interface SeafileOptions {
  dir: string;
  layout?: 'classic' | 'docker';
  sqlite?: boolean;
  /** More files in the main library, for tests of size. */
  files?: number;
}

/** A whole installation without a server: libraries with history, a virtual and an encrypted one, configuration and databases. */
export function seed(options: SeafileOptions): SeafileSite;
