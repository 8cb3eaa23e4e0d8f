import { Cron } from 'croner';
import type { Finding } from './findings.js';
import { nearest } from './near.js';

export const CRON_WORDS = ['hourly', 'daily', 'weekly', 'monthly'] as const;
export type CronWord = (typeof CRON_WORDS)[number];

export function isCronWord(text: string): text is CronWord {
  return (CRON_WORDS as readonly string[]).includes(text);
}

export function isTimezone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

/** A cron line as Temporal understands it: five fields of numbers, names, lists, ranges and steps. */
export function checkCron(text: string, path: Finding['path']): Finding[] {
  const wrong = (why: string): Finding[] => [
    { path, message: `${why}; write five fields, as "0 3 * * *", or ${CRON_WORDS.join(', ')}` },
  ];
  if (isCronWord(text)) return [];
  const fields = text.trim().split(/\s+/);
  const word = fields.length === 1 ? nearest(text, CRON_WORDS) : undefined;
  if (word) return [{ path, message: `is no cron line; did you mean "${word}"?` }];
  if (fields.length !== 5)
    return wrong(`is no cron line: ${fields.length} ${fields.length === 1 ? 'field' : 'fields'}`);
  if (!fields.every((field) => /^[\d*,/a-z-]+$/i.test(field)) || /\b(L|W)\b/.test(text))
    return wrong('is no cron line that Temporal knows');
  try {
    const cron = new Cron(text, { paused: true, mode: '5-part' });
    if (cron.nextRun() === null) return wrong('never comes');
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^CronPattern: /, '').split('\n')[0] : '';
    return wrong(`is no cron line (${why})`);
  }
  // Cron means "either of both", Temporal means "both": one of them would be surprised.
  if (fields[2] !== '*' && fields[4] !== '*')
    return [
      { path, message: 'names days of the month and of the week: cron reads that as "or", Temporal as "and"; use one' },
    ];
  return [];
}
