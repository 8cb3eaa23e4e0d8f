import { createHash } from 'node:crypto';
import type { CalendarSpecDescription, Range } from '@temporalio/client';

/**
 * Cron text as Temporal's calendars. Done here and not by the server, so that `schedule apply` can compare what it
 * wants with what the server has, field by field; and because the server takes "day of month" and "day of week" both
 * given as *and*, where every cron means *or*.
 */

interface Field {
  name: 'minute' | 'hour' | 'dayOfMonth' | 'month' | 'dayOfWeek';
  min: number;
  max: number;
  names?: readonly string[];
}

const MONTH_NAMES = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const DAY_NAMES = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const MONTHS = [
  'JANUARY',
  'FEBRUARY',
  'MARCH',
  'APRIL',
  'MAY',
  'JUNE',
  'JULY',
  'AUGUST',
  'SEPTEMBER',
  'OCTOBER',
  'NOVEMBER',
  'DECEMBER',
] as const;
const DAYS = ['SUNDAY', 'MONDAY', 'TUESDAY', 'WEDNESDAY', 'THURSDAY', 'FRIDAY', 'SATURDAY'] as const;

const FIELDS: readonly Field[] = [
  { name: 'minute', min: 0, max: 59 },
  { name: 'hour', min: 0, max: 23 },
  { name: 'dayOfMonth', min: 1, max: 31 },
  { name: 'month', min: 1, max: 12, names: MONTH_NAMES },
  { name: 'dayOfWeek', min: 0, max: 6, names: DAY_NAMES },
];

type NumberRange = Range<number>;

/** `0 3 * * 1-5` → calendars with every field written out, as the server tells them back; undefined where the text is no cron of five fields. */
export function cronToCalendars(cron: string): CalendarSpecDescription[] | undefined {
  const parts = cron.trim().split(/\s+/);
  if (parts.length !== FIELDS.length) return undefined;
  const fields = FIELDS.map((field, i) => parseField(parts[i] ?? '', field));
  if (fields.some((ranges) => ranges === undefined)) return undefined;
  const [minute = [], hour = [], dates = [], month = [], days = []] = fields as NumberRange[][];
  const calendar = (dayOfMonth: NumberRange[], dayOfWeek: NumberRange[]) => ({
    second: [{ start: 0, end: 0, step: 1 }],
    minute,
    hour,
    dayOfMonth,
    month: named(month, MONTHS, 1),
    year: [],
    dayOfWeek: named(dayOfWeek, DAYS, 0),
    comment: cron,
  });
  const anyDate = [{ start: 1, end: 31, step: 1 }];
  const anyDay = [{ start: 0, end: 6, step: 1 }];
  if (parts[2]?.startsWith('*') || parts[4]?.startsWith('*')) return [calendar(dates, days)];
  return [calendar(dates, anyDay), calendar(anyDate, days)];
}

function parseField(text: string, field: Field): NumberRange[] | undefined {
  const ranges = text.split(',').map((part) => parseRange(part.toLowerCase(), field));
  if (ranges.includes(undefined)) return undefined;
  // Sunday may be 7; as a range that ends there it is Sunday besides the rest.
  return (ranges as NumberRange[]).flatMap((range) => {
    if (field.name !== 'dayOfWeek' || range.end < 7) return [range];
    const sunday = { start: 0, end: 0, step: 1 };
    return range.start === 7
      ? [sunday]
      : [{ ...range, end: 6 }, ...((7 - range.start) % range.step === 0 ? [sunday] : [])];
  });
}

function parseRange(part: string, field: Field): NumberRange | undefined {
  const match = /^(\*|[a-z0-9]+)(?:-([a-z0-9]+))?(?:\/(\d+))?$/.exec(part);
  if (!match) return undefined;
  const [, from = '', to, stepText] = match;
  const step = stepText === undefined ? 1 : Number(stepText);
  if (step < 1) return undefined;
  if (from === '*') return to === undefined ? { start: field.min, end: field.max, step } : undefined;
  const start = value(from, field);
  const end = to !== undefined ? value(to, field) : stepText === undefined ? start : field.max;
  if (start === undefined || end === undefined || end < start) return undefined;
  return { start, end, step };
}

function value(text: string, field: Field): number | undefined {
  const named = field.names?.indexOf(text) ?? -1;
  if (named >= 0) return named + field.min;
  const n = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  const max = field.name === 'dayOfWeek' ? 7 : field.max;
  return n >= field.min && n <= max ? n : undefined;
}

function named<N extends string>(ranges: NumberRange[], names: readonly N[], base: number) {
  return ranges.map(({ start, end, step }) => ({ start: names[start - base] as N, end: names[end - base] as N, step }));
}

export const SPREAD_WORDS = ['hourly', 'daily', 'weekly', 'monthly'] as const;
export type SpreadWord = (typeof SPREAD_WORDS)[number];

/** A word's cron: always the same for one `key`, and spread over keys (nights from 00:00 to 05:59), so that a hundred sites do not start together. */
export function spread(word: SpreadWord, key: string): string {
  const hash = createHash('sha256').update(key).digest();
  const minute = hash.readUInt16BE(0) % 60;
  const hour = hash.readUInt16BE(2) % 6;
  switch (word) {
    case 'hourly':
      return `${minute} * * * *`;
    case 'daily':
      return `${minute} ${hour} * * *`;
    case 'weekly':
      return `${minute} ${hour} * * ${hash.readUInt16BE(4) % 7}`;
    case 'monthly':
      return `${minute} ${hour} ${1 + (hash.readUInt16BE(4) % 28)} * *`;
  }
}

/** Every `minutes`, at an offset of the key's own. */
export function every(minutes: number, key: string): string {
  return `${createHash('sha256').update(key).digest().readUInt16BE(0) % minutes}/${minutes} * * * *`;
}
