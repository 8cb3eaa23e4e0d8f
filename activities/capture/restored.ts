import { join } from 'node:path';
import type { DatabaseEntry, FileSetEntry, Manifest } from '../../src/core/manifest.js';
import { rootInSnapshot } from './compare.js';

/**
 * A fetched snapshot lies below `tree` at its absolute paths: the databases in the staging directory, file sets at their
 * roots. These map what the application knows (a host path) to where it lies in the tree.
 */
export interface Piece {
  name: string;
  /** Where it lies now. */
  from: string;
  /** Where it belongs on the host. */
  to: string;
}

/** Databases that are files on the host; the dumps of others stay where they were staged. */
export function databasePieces(manifest: Manifest, tree: string): (Piece & { entry: DatabaseEntry })[] {
  return manifest.databases.flatMap((entry) =>
    entry.path === undefined
      ? []
      : [{ name: entry.name, from: join(tree, manifest.staging, entry.file), to: entry.path, entry }],
  );
}

export function setPieces(manifest: Manifest, tree: string): (Piece & { entry: FileSetEntry })[] {
  return manifest.fileSets.map((entry) => ({
    name: entry.name,
    from: join(tree, rootInSnapshot(manifest, entry)),
    to: entry.root,
    entry,
  }));
}

/** Where a fetched snapshot's staging directory lies. */
export function stagingBelow(manifest: Manifest, tree: string): string {
  return join(tree, manifest.staging);
}
