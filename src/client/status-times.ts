/** Times as the status screen says them: as short as a column needs. */

/** 1300 → `1.3s`, 372000 → `6m12s`, 840000 → `14m`, 21600000 → `6h`, 3 days → `3d`. */
export function short(ms: number): string {
  if (ms < 50) return '0s';
  if (ms < 10_000) return `${(ms / 1000).toFixed(1).replace(/\.0$/, '')}s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${seconds % 60 ? `${seconds % 60}s` : ''}`;
  return age(ms);
}

/** Whole minutes, hours or days: `4m`, `6h`, `3d`. Days from 48 h on. */
export function age(ms: number): string {
  const minutes = Math.max(0, Math.floor(ms / 60_000));
  if (minutes < 60) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours}h` : `${Math.floor(hours / 24)}d`;
}

/** `2026-11-21 09:27 CET`. */
export function stamp(at: Date, timeZone: string): string {
  const zone = new Intl.DateTimeFormat('en-GB', { timeZone, timeZoneName: 'short' })
    .formatToParts(at)
    .find(({ type }) => type === 'timeZoneName')?.value;
  return `${day(at, timeZone)} ${clock(at, timeZone)} ${zone ?? timeZone}`;
}

/** `03:00` within a day of `now`, else `11-24 03:00`. */
export function near(at: Date, now: Date, timeZone: string): string {
  const far = Math.abs(at.getTime() - now.getTime()) >= 86_400_000;
  return `${far ? `${day(at, timeZone).slice(5)} ` : ''}${clock(at, timeZone)}`;
}

function clock(at: Date, timeZone: string): string {
  return new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit' }).format(at);
}

function day(at: Date, timeZone: string): string {
  return new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' }).format(at);
}
