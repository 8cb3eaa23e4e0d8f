const UNITS: Record<string, number> = { ms: 1, s: 1e3, m: 60e3, h: 3600e3, d: 86400e3, w: 7 * 86400e3 };

/** `"26h"`, `"1h30m"`, `"250ms"` → milliseconds; undefined where the text is no duration. Units: ms, s, m, h, d, w. */
export function parseDuration(text: string): number | undefined {
  const matches = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d|w)/gy)];
  const used = matches.reduce((n, m) => n + m[0].length, 0);
  if (used === 0 || used !== text.length) return undefined;
  return matches.reduce((ms, m) => ms + Number(m[1]) * (UNITS[m[2] ?? ''] ?? 0), 0);
}

/** 1340 → `1.34 s`, 372000 → `6m12s`, 93600000 → `26h`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60e3) return `${(ms / 1000).toFixed(ms < 10e3 ? 2 : 1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${seconds % 60 ? `${seconds % 60}s` : ''}`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)}h${minutes % 60 ? `${minutes % 60}m` : ''}`;
  return `${Math.round(minutes / 1440)}d`;
}

const SIZES: Record<string, number> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};

/** `"5GB"`, `"20MiB"`, `"512"` → bytes; undefined where the text is no size. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([KMGT]i?B|B)?$/.exec(text);
  return match ? Math.round(Number(match[1]) * (SIZES[match[2] ?? 'B'] ?? 1)) : undefined;
}

/** `"20MiB/s"` → bytes per second. */
export function parseRate(text: string): number | undefined {
  return text.endsWith('/s') ? parseSize(text.slice(0, -2)) : undefined;
}

/** 45123456 → `45 MB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 10 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
