import type { Keep } from './plan.js';

export type BucketRule = Exclude<keyof Keep, 'last'>;

interface LocalTime {
  year: number;
  month: number;
  day: number;
  hour: number;
  offset: string;
}

function clockOf(timezone: string): (at: Date) => LocalTime {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone: timezone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    hourCycle: 'h23',
    timeZoneName: 'longOffset',
  });
  return (at) => {
    const parts = format.formatToParts(at);
    const part = (type: Intl.DateTimeFormatPartTypes) => parts.find((p) => p.type === type)?.value ?? '';
    return {
      year: Number(part('year')),
      month: Number(part('month')),
      day: Number(part('day')),
      hour: Number(part('hour')),
      offset: part('timeZoneName'),
    };
  };
}

/** Monday of the week that a day lies in, as days since 1970: names an ISO week without its year trouble. */
function mondayOf({ year, month, day }: LocalTime): number {
  const days = Date.UTC(year, month - 1, day) / 86_400_000;
  return days - ((days + 3) % 7);
}

/** Names the bucket of each rule that an instant falls in, by the clock on the wall of `timezone` (an IANA name). */
export function bucketsIn(timezone: string): (at: Date) => Record<BucketRule, string> {
  const clock = clockOf(timezone);
  return (at) => {
    const t = clock(at);
    const month = `${t.year}-${t.month}`;
    return {
      // The hour that autumn repeats is two hours, so its offset belongs to its name.
      hourly: `${month}-${t.day}T${t.hour}${t.offset}`,
      daily: `${month}-${t.day}`,
      weekly: `${mondayOf(t)}`,
      monthly: month,
      yearly: `${t.year}`,
    };
  };
}
