import { join } from 'node:path';
import { VARASTO } from '../../src/apps/varasto.js';
import { ABOUT } from '../capture/arrange.js';
import type { Restored } from '../contracts.js';

/** The export of a restored site; undefined where its metadata was taken as a file. */
export function exportOf({ manifest, root }: Pick<Restored, 'manifest' | 'root'>): string | undefined {
  const entry = manifest.databases.find(({ name }) => name === VARASTO);
  return entry?.kind === 'http' ? join(root, ABOUT, entry.file) : undefined;
}
