import type { ConfigFile } from '../config/schema.js';
import type { SiteLines } from '../config/schema-site.js';
import { parseDuration } from '../core/durations.js';
import { failure } from '../core/failures.js';
import {
  type Address,
  DEFAULT_HOST,
  formatAddress,
  scheduleId,
  type WorkflowName,
  workflowIdPrefix,
} from '../core/names.js';
import { cronToCalendars, every, SPREAD_WORDS, type SpreadWord, spread } from './cron.js';

/** One schedule that the config asks for, with everything that Temporal is to know of it. */
export interface ScheduleWish {
  id: string;
  site: string;
  host: string;
  workflow: WorkflowName;
  /** What the config says: a cron line or a word. */
  said: string;
  /** Five fields; a word has become a time of the site's own. */
  cron: string;
  timezone: string;
  jitterMs: number;
  catchUpMs: number;
  pauseOnFailure: boolean;
  input: Record<string, unknown>;
  workflowIdPrefix: string;
  summary: string;
}

const CATCH_UP_MS = 12 * 3600_000;
/** A watch that was missed is not worth making up for. */
const WATCH_CATCH_UP_MS = 60_000;
const WATCH_MINUTES = 15;
const VERBS = { backup: 'Back up', verify: 'Verify', restoreTest: 'Prove by a restore' } as const;

/** Every schedule that the config asks for. Throws InvalidConfig for a line that is no cron, all of them at once. */
export function scheduleWishes(config: ConfigFile, thisHost: string = DEFAULT_HOST): ScheduleWish[] {
  const mistakes: string[] = [];
  const wishes = Object.entries(config.sites).flatMap(([site, lines]) => {
    const address = { site, host: lines.host ?? thisHost };
    const timezone = lines.schedule?.timezone ?? config.defaults?.timezone ?? 'UTC';
    return [...timed(address, lines, timezone, mistakes), ...watch(address, lines, timezone)];
  });
  if (mistakes.length > 0) {
    throw failure('InvalidConfig', {
      step: 'schedule',
      host: thisHost,
      what: `${mistakes.length === 1 ? 'a schedule is' : `${mistakes.length} schedules are`} no cron line`,
      details: { mistakes },
    });
  }
  return wishes;
}

/** The cron line that a schedule's text means for one site and workflow; undefined where it is none. */
export function cronOf(said: string, workflow: WorkflowName, address: Address): string | undefined {
  const word = said.replace(/^@/, '') as SpreadWord;
  if (SPREAD_WORDS.includes(word)) return spread(word, workflowIdPrefix(workflow, address));
  return cronToCalendars(said) ? said : undefined;
}

function timed(address: Address, lines: SiteLines, timezone: string, mistakes: string[]): ScheduleWish[] {
  const { schedule } = lines;
  if (!schedule) return [];
  return (['backup', 'verify', 'restoreTest'] as const).flatMap((workflow) => {
    const said = schedule[workflow];
    if (said === undefined) return [];
    const cron = cronOf(said, workflow, address);
    if (cron === undefined) {
      mistakes.push(
        `sites.${address.site}.schedule.${workflow}: "${said}" is no cron line of five fields; as "0 3 * * *", or ${SPREAD_WORDS.join(', ')}`,
      );
      return [];
    }
    const name = formatAddress(address);
    return [
      {
        ...named(workflow, address, timezone),
        said,
        cron,
        jitterMs: parseDuration(schedule.jitter ?? '0s') ?? 0,
        catchUpMs: parseDuration(schedule.catchUp ?? '') ?? CATCH_UP_MS,
        pauseOnFailure: schedule.pauseOnFailure ?? false,
        input: workflow === 'backup' ? { site: name, reason: 'schedule' } : { site: name },
        summary: `${VERBS[workflow]} ${name}, as scheduled (${said}, ${timezone})`,
      },
    ];
  });
}

function watch(address: Address, lines: SiteLines, timezone: string): ScheduleWish[] {
  if (!lines.objectives || Object.keys(lines.objectives).length === 0) return [];
  const site = formatAddress(address);
  return [
    {
      ...named('watch', address, timezone),
      said: `every ${WATCH_MINUTES} min`,
      cron: every(WATCH_MINUTES, workflowIdPrefix('watch', address)),
      jitterMs: 0,
      catchUpMs: WATCH_CATCH_UP_MS,
      pauseOnFailure: false,
      input: { site },
      summary: `Look after the objectives of ${site}`,
    },
  ];
}

function named(workflow: WorkflowName, address: Address, timezone: string) {
  return {
    id: scheduleId(workflow, address),
    ...address,
    workflow,
    timezone,
    workflowIdPrefix: workflowIdPrefix(workflow, address),
  };
}
