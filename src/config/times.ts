import { Cron } from 'croner';
import { cronToCalendars, SPREAD_WORDS } from '../client/cron.js';
import { nearest, suggestion } from '../core/near.js';
import type { Finding } from './findings.js';

export function isTimezone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

export function checkTimezone(zone: string, path: Finding['path']): Finding[] {
  if (isTimezone(zone)) return [];
  const hint = suggestion(zone, Intl.supportedValuesOf('timeZone'));
  return [{ path, message: `no such time zone; ${hint.startsWith('did') ? hint : 'write it as Europe/Zurich'}` }];
}

/** A cron line as Temporal understands it: five fields of numbers, names, lists, ranges and steps; or one of the words. */
export function checkCron(text: string, path: Finding['path']): Finding[] {
  const wrong = (why: string): Finding[] => [
    { path, message: `${why}; write five fields, as "0 3 * * *", or ${SPREAD_WORDS.join(', ')}` },
  ];
  if ((SPREAD_WORDS as readonly string[]).includes(text)) return [];
  const fields = text.trim().split(/\s+/);
  const word = fields.length === 1 ? nearest(text, SPREAD_WORDS) : undefined;
  if (word) return [{ path, message: `is no cron line; did you mean "${word}"?` }];
  if (fields.length !== 5)
    return wrong(`is no cron line: ${fields.length} ${fields.length === 1 ? 'field' : 'fields'}`);
  try {
    const cron = new Cron(text, { paused: true, mode: '5-part' });
    if (cron.nextRun() === null) return wrong('never comes');
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^CronPattern: /, '').split('\n')[0] : '';
    return wrong(`is no cron line (${why})`);
  }
  return cronToCalendars(text) ? [] : wrong('is no cron line that Temporal knows');
}
