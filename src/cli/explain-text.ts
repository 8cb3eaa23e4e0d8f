import { join, relative } from 'node:path';
import { stamp } from '../client/status-times.js';
import { formatDuration } from '../core/durations.js';
import {
  type FileSetSpec,
  type Health,
  isOnline,
  isStopped,
  livesElsewhere,
  type Plan,
  pathOf,
  type ServiceSpec,
} from '../core/plan.js';
import { databaseRow } from './explain-databases.js';
import { table } from './table.js';

/** When one of the site's schedules fires next. */
export interface NextTime {
  workflow: string;
  said: string;
  timezone: string;
  next?: string;
}

interface Seen {
  downtimes: number[];
  next: NextTime[];
  notes: string[];
  /** Lines of the application on how large a backup will be. */
  size?: string[];
}

/** A plan for people: each heading answers one question that somebody has before the first backup. */
export function explainText(plan: Plan, { downtimes, next, notes, size = [] }: Seen): string[] {
  const excluded = [
    ...plan.fileSets.flatMap((set) =>
      set.exclude.filter((pattern) => !takenElsewhere(plan, set, pattern)).map((pattern) => below(plan, set, pattern)),
    ),
    // What a person left out where no file set would have taken it.
    ...[plan.options.exclude, plan.options.leaveOut].flat().filter((entry) => typeof entry === 'string'),
    ...plan.leftOut,
  ];
  return [
    `${plan.site}: ${plan.app} in ${plan.root} on ${plan.host}`,
    ...section(
      isOnline(plan) ? 'Stopped for a restore in place alone' : 'Stopped, and started again',
      plan.services.map(serviceRow),
      'nothing is ever stopped',
    ),
    ...section('Captured', [
      ...plan.databases.map((one) => databaseRow(plan, one)),
      ...plan.fileSets.map((set) => fileSetRow(plan, set)),
    ]),
    ...section(
      'Excluded',
      [...new Set(excluded)].map((pattern) => [pattern]),
      'nothing',
    ),
    ...section(
      'Uncovered: neither captured nor excluded',
      plan.uncovered.map((entry) => [entry]),
      'nothing',
    ),
    ...section(
      'Goes to',
      plan.repositories.map((one) => [
        ...[one.name, one.engine, one.location],
        livesElsewhere(one, plan.host) ? `on ${one.host}, which pulls and keeps` : keepText(one),
        one.offsite ? 'offsite' : '',
      ]),
    ),
    ...(size.length > 0
      ? section(
          'Expected size',
          size.map((line) => [line]),
        )
      : []),
    ...section('Expected downtime', [[downtimeText(plan, downtimes)]]),
    ...section(
      'Runs by itself',
      next.map((one) => [
        one.workflow,
        one.said,
        one.next ? `next ${stamp(new Date(one.next), one.timezone)}` : 'never',
      ]),
      'never: it has no schedule',
    ),
    ...(notes.length > 0
      ? section(
          'Not seen',
          notes.map((note) => [note]),
        )
      : []),
  ];
}

function section(title: string, rows: string[][], none = ''): string[] {
  const lines = rows.length > 0 ? table(rows) : [none];
  return ['', title, ...lines.map((line) => `  ${line}`)];
}

function serviceRow(spec: ServiceSpec): string[] {
  const up = spec.health ? `up when ${healthText(spec.health)}` : '';
  if (spec.kind === 'none') return ['none', 'is never stopped'];
  if (spec.kind === 'compose') return [spec.name, `compose ${spec.services.join(', ')}`, up];
  if (spec.kind === 'systemd') return [spec.name, `systemd ${spec.unit}`, up];
  return [spec.name, spec.kind, up];
}

function healthText(health: Health): string {
  return 'http' in health ? `${health.http} answers ${health.status}` : `${health.command.argv[0]} ends with 0`;
}

const WHEN: Record<FileSetSpec['change'], string> = {
  mutable: 'copied while it is stopped',
  immutable: 'stored after the restart',
  live: 'stored as it lies, may change meanwhile',
};

function fileSetRow(plan: Plan, set: FileSetSpec): string[] {
  const what =
    set.include.length > 0 ? set.include.map((one) => below(plan, set, one)).join(', ') : below(plan, set, '');
  const when = set.change === 'mutable' && !isStopped(plan) ? 'copied while it runs' : WHEN[set.change];
  return ['files', set.name, `${when}${set.optional ? '; may be absent' : ''}`, what];
}

function below(plan: Plan, set: FileSetSpec, pattern: string): string {
  const base = relative(plan.root, set.root);
  return [base, pattern].filter(Boolean).join('/') || 'everything';
}

/** What a set leaves to a database, or to another set, is captured all the same. */
function takenElsewhere(plan: Plan, set: FileSetSpec, pattern: string): boolean {
  const path = join(set.root, pattern.replaceAll(/\\(.)/g, '$1'));
  return (
    plan.fileSets.some(({ root }) => root === path) ||
    plan.databases.some((one) => pathOf(one) === path.replace(/-(wal|shm|journal)$/, ''))
  );
}

function keepText({ keep, appendOnly }: Plan['repositories'][number]): string {
  const counts = Object.entries(keep ?? {}).flatMap(([kind, n]) => (n ? [`${n} ${kind}`] : []));
  if (appendOnly) return 'append-only, nothing is pruned';
  return counts.length > 0 ? `keeps ${counts.join(', ')}` : 'keeps all';
}

function downtimeText(plan: Plan, downtimes: number[]): string {
  if (!isStopped(plan)) return 'none';
  const cap = `ended at ${formatDuration(plan.limits.downtimeMs)}`;
  if (downtimes.length === 0) return `not measured yet: stop, copy of the databases and start; ${cap}`;
  const sorted = [...downtimes].sort((a, b) => a - b);
  const typical = sorted[Math.floor(sorted.length / 2)] ?? 0;
  return `${formatDuration(typical)} (last ${downtimes.map(formatDuration).join(', ')}); ${cap}`;
}
