import { join } from 'node:path';
import type { StateDir } from '../site/api.js';

/**
 * Where a capture lies. It is written as `<captures>/<id>-<attempt>-<random>.partial` and committed by one rename to
 * `<staging>/current`: the same path each time, so that engines find their parent snapshot. What is in it:
 * `manifest.json`, `holdfast.yaml`, `RESTORE.md`, `databases/`, `files/<set>/`, `lists/<set>.jsonl`, `reports/`.
 */
export function stagingOf(state: StateDir, site: string): string {
  return join(state.staging(site), 'current');
}

/** What an attempt no longer writes goes by this name until it is removed. */
export const DISCARDED = 'discarded-';

/** Whether an entry of `captures` is half-done or discarded: nobody reads it once its run has ended. */
export const isLeftover = (name: string): boolean => name.endsWith('.partial') || name.startsWith(DISCARDED);

export const MANIFEST = 'manifest.json';
export const CONFIG = 'holdfast.yaml';
export const RESTORE_TEXT = 'RESTORE.md';
export const DATABASES = 'databases';
export const FILES = 'files';
export const LISTS = 'lists';
export const REPORTS = 'reports';

/** The path of a set's list below the capture. */
export const listOf = (set: string): string => `${LISTS}/${set}.jsonl`;

/** The list of a set's extended attributes, below the capture. */
export const attributesOf = (set: string): string => `${LISTS}/${set}.attributes.gz`;
