/** A config as parsed from a snapshot: looked at as little as possible, because an older version may have written it. */
export interface ConfigPart {
  [key: string]: unknown;
}

/** Where a part comes from: named when parts disagree. */
export interface AdoptedPart {
  site: string;
  capturedAt: string;
  config: ConfigPart;
}

const NAMED = ['notify', 'repositories', 'sites'] as const;
const WHOLE = ['version', 'defaults', 'restore'] as const;

/**
 * One config of the parts that snapshots hold, one per site. Where two say different things of one name the newer
 * snapshot wins, and a note says so.
 */
export function mergeConfigs(parts: readonly AdoptedPart[]): { config: ConfigPart; notes: string[] } {
  const config: ConfigPart = {};
  const notes: string[] = [];
  const take = (into: ConfigPart, key: string, value: unknown, what: string, from: string) => {
    if (!Object.hasOwn(into, key)) into[key] = value;
    else if (canonical(into[key]) !== canonical(value))
      notes.push(`${what} differs in the snapshot of ${from}, which is older; look at it`);
  };
  for (const part of [...parts].sort((a, b) => b.capturedAt.localeCompare(a.capturedAt))) {
    for (const key of WHOLE) {
      if (part.config[key] !== undefined) take(config, key, part.config[key], key, part.site);
    }
    for (const section of NAMED) {
      const entries = Object.entries(asRecord(part.config[section]));
      if (entries.length === 0) continue;
      config[section] ??= {};
      for (const [name, value] of entries)
        take(config[section] as ConfigPart, name, value, `${section}.${name}`, part.site);
    }
  }
  return { config, notes };
}

/** Every secret file that a config refers to. */
export function secretFiles(value: unknown): string[] {
  if (value === null || typeof value !== 'object') return [];
  const entries = Object.entries(value);
  const [only] = entries;
  if (entries.length === 1 && only?.[0] === 'file' && typeof only[1] === 'string') return [only[1]];
  return [...new Set(entries.flatMap(([, each]) => secretFiles(each)))].sort();
}

function asRecord(value: unknown): ConfigPart {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as ConfigPart) : {};
}

/** Text that is equal where the values are, whatever the order of their keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, each) =>
    each !== null && typeof each === 'object' && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );
}
