import { mkdir, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isFailure } from '../../src/core/failures.js';
import type { Context, RunResult } from '../contracts.js';
import { writeDurable } from '../site/durable.js';

/**
 * ApisCP's nightly export of databases, which may run after a backup and makes it older than it looks. Two scopes switch it: the one that the
 * document names, and that of ApisCP's own Bacula page, whose `true` means off (facts). Whichever answers is used.
 */
interface Scope {
  get: string[];
  /** Arguments that set it to a value. */
  set: (value: string) => string[];
  off: string;
  isOn: (value: string) => boolean;
  /** Makes a new value take effect. */
  apply?: string[];
}

const yes = (value: string): boolean => /^(1|true|yes|on|enabled)$/i.test(value.trim());

const SCOPES: Scope[] = [
  {
    get: ['backups.automatic-database-exports'],
    set: (value) => ['backups.automatic-database-exports', value],
    off: 'false',
    isOn: yes,
  },
  {
    get: ['cp.bootstrapper', 'manual_database_backups'],
    set: (value) => ['cp.bootstrapper', 'manual_database_backups', value],
    off: 'true',
    isOn: (value) => !yes(value),
    apply: ['-sb', 'apnscp/crons'],
  },
];

interface Found {
  scope: Scope;
  value: string;
}

const ANY_CODE = Array.from({ length: 256 }, (_, code) => code);

/** The scope that this ApisCP has, with its value. Throws ToolMissing, ToolFailed where neither answers. */
async function find(ctx: Context): Promise<Found> {
  let last: RunResult | undefined;
  for (const scope of SCOPES) {
    last = await ctx.run('cpcmd', ['scope:get', ...scope.get], { ok: ANY_CODE, timeoutMs: 120_000 });
    if (last.exitCode === 0) return { scope, value: last.stdout.trim() };
  }
  throw ctx.fail('ToolFailed', 'cpcmd knows neither scope of the nightly database exports', {
    advice: 'update ApisCP, or switch the exports off by hand',
    details: { tool: 'cpcmd', exitCode: last?.exitCode },
  });
}

/** What a person should know of the nightly exports; undefined where all is well. Changes nothing. */
export async function scopeConcern(site: string, ctx: Context): Promise<string | undefined> {
  try {
    const { scope, value } = await find(ctx);
    if (!scope.isOn(value)) return undefined;
    return `ApisCP's nightly database exports are on, and may run after a backup; switch them off: holdfast setup ${site}`;
  } catch (error) {
    if (!isFailure(error, 'ToolFailed', 'ToolStalled')) throw error;
    return `whether ApisCP's nightly database exports are off could not be asked: ${error.message}`;
  }
}

/** Switches the nightly exports off once, with the value that was there recorded in `record`; `undo` puts that one back. */
export async function setScope(record: string, undo: boolean, ctx: Context): Promise<string> {
  const { scope, value } = await find(ctx);
  const name = scope.get.join(' ');
  const known = await readFile(record, 'utf8').then(
    (text) => JSON.parse(text) as { scope: string; value: string },
    () => undefined,
  );
  if (undo) {
    if (!known) return `${name} was never changed by Holdfast; it is ${value}`;
    await change(SCOPES.find(({ get }) => get.join(' ') === known.scope) ?? scope, known.value, ctx);
    await rm(record);
    return `${known.scope} is ${known.value} again`;
  }
  if (!scope.isOn(value)) return `${name} is ${value}: the nightly exports are off`;
  // Before the change: what is lost with a crash between them is nothing. An older record holds what was there before us.
  if (!known) {
    await mkdir(dirname(record), { recursive: true, mode: 0o700 });
    await writeDurable(record, `${JSON.stringify({ schema: 1, scope: name, value })}\n`);
  }
  await change(scope, scope.off, ctx);
  return `${name} was ${value} and is ${scope.off} now: the nightly exports are off; \`--undo\` puts it back`;
}

async function change(scope: Scope, value: string, ctx: Context): Promise<void> {
  await ctx.run('cpcmd', ['scope:set', ...scope.set(value)], { timeoutMs: 600_000 });
  if (scope.apply) await ctx.run('upcp', scope.apply, { timeoutMs: 3_600_000 });
  const now = await find(ctx);
  if (now.scope.isOn(now.value) !== scope.isOn(value))
    throw ctx.fail('ToolFailed', `${scope.get.join(' ')} is ${now.value} although it was set to ${value}`, {
      advice: 'look at what cpcmd says of it',
    });
}
