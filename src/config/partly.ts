import type { Finding, Path } from './findings.js';
import type { ConfigFile } from './schema.js';

/**
 * A config of which any part may be missing, because it was wrong. What is there has its right type, so that every
 * other mistake of the file is found in the same pass.
 */
export type Partly<T> = T extends string | number | boolean | undefined
  ? T
  : T extends readonly (infer U)[]
    ? (Partly<U> | undefined)[]
    : T extends object
      ? { [K in keyof T]?: Partly<T[K]> | undefined }
      : T;

export type PartlyConfig = Partly<ConfigFile>;

/** A copy without the values that the schema refuses. */
export function withoutWrong(raw: unknown, findings: readonly Finding[]): PartlyConfig {
  const copy = structuredClone(raw);
  for (const { path } of findings) remove(copy, path);
  return (typeof copy === 'object' && copy !== null && !Array.isArray(copy) ? copy : {}) as PartlyConfig;
}

function remove(value: unknown, path: Path): void {
  let parent = value;
  for (const part of path.slice(0, -1)) {
    if (typeof parent !== 'object' || parent === null) return;
    parent = (parent as Record<string | number, unknown>)[part];
  }
  const last = path.at(-1);
  if (last === undefined || typeof parent !== 'object' || parent === null) return;
  // A list keeps its places, so that the paths of its other elements stay right.
  if (Array.isArray(parent)) parent[Number(last)] = undefined;
  else delete (parent as Record<string, unknown>)[last];
}

/** The entries of a mapping that are there. */
export function entries<V>(record: Record<string, V | undefined> | undefined): [string, V][] {
  return Object.entries(record ?? {}).filter(
    (entry): entry is [string, V] => entry[1] !== undefined && entry[1] !== null,
  );
}
