import { relative } from 'node:path';
import { type DatabaseSpec, isStopped, type Plan, pathOf } from '../core/plan.js';

/** What a dump of each kind is, and what belongs to it. */
function formOf(spec: DatabaseSpec): string {
  switch (spec.kind) {
    case 'sqlite':
      return spec.format === 'sql' ? 'as SQL text' : 'as a file';
    case 'mysql':
      return `as SQL text${spec.grants ? ' with accounts' : ''}`;
    case 'postgres':
      return `as a pg_dump archive${spec.globals ? ' with roles' : ''}`;
    case 'http':
      return 'as it exports itself';
    case 'command':
      return `as its program prints it${spec.load ? '' : ', to be imported by hand'}`;
    case 'bolt':
      return spec.snapshot === undefined ? 'as a file' : 'as a file on a snapshot, as after a power cut';
  }
}

function placeOf(plan: Plan, spec: DatabaseSpec): string {
  const path = pathOf(spec);
  if (spec.kind === 'http') return spec.url;
  if (path !== undefined) return relative(plan.root, path) || path;
  if (spec.kind === 'command') return spec.dump.argv.join(' ');
  if (spec.kind !== 'mysql' && spec.kind !== 'postgres') return spec.name;
  const what = spec.kind === 'mysql' ? spec.schemas.join(', ') : spec.database;
  if (spec.container) return `${what} in container ${spec.container.service}`;
  const where = spec.socket ?? (spec.host && [spec.host, spec.port].filter(Boolean).join(':'));
  return where ? `${what} at ${where}` : what;
}

/** One database for people: how it is taken, and from where. */
export function databaseRow(plan: Plan, spec: DatabaseSpec): string[] {
  const how = spec.mode === 'online' || !isStopped(plan) ? 'while it runs' : 'while it is stopped';
  return ['database', spec.name, `${spec.kind}, ${formOf(spec)}, ${how}`, placeOf(plan, spec)];
}
