import { join, resolve } from 'node:path';
import type { ApiscpOptions } from '../../src/apps/apiscp.js';
import { formatBytes } from '../../src/core/durations.js';
import { type FailureDetails, isFailure } from '../../src/core/failures.js';
import type { Plan } from '../../src/core/plan.js';
import { exists } from '../capture/copy.js';
import type { AppChecks, Context } from '../contracts.js';
import { accountsChecks } from './apiscp-accounts.js';
import { accountsIn, dumpsSince, whyNotWhole } from './apiscp-dumps.js';
import { loadChecks } from './apiscp-load.js';
import { scopeConcern, setScope } from './apiscp-scope.js';
import { attributesAgainstList } from './attributes-against-list.js';
import { databasesAgainstManifest } from './databases-against-manifest.js';
import { filesAgainstList } from './files-against-list.js';

/** Hundreds of databases, one after the other. */
const EXPORT_MS = 12 * 3600_000;

const optionsOf = ({ options }: Plan): ApiscpOptions => options as ApiscpOptions;

/** ApisCP: the exports that a backup of it must make itself, and the rules by which restored accounts are whole. */
export const apiscpChecks: AppChecks = {
  async preflight(plan, ctx) {
    if (process.getuid?.() !== 0)
      throw ctx.fail('SourceUnreadable', 'accounts have devices and trusted attributes, which only root can read', {
        advice: 'run the worker of this host as root',
      });
    const script = scriptOf(plan);
    if (!(await exists(script)))
      throw ctx.fail('SourceMissing', `ApisCP's own export of databases is not there: ${script}`, {
        advice: 'set options.panel to where ApisCP is',
      });
    await accountsAreWhole(plan, ctx);
    const concern = await scopeConcern(plan.site, ctx);
    if (concern) ctx.note(concern);
  },

  async beforeCapture(plan, ctx) {
    const began = Date.now();
    // Without --force, databases that are not due by their own schedule are passed over (facts).
    await ctx
      .run('apnscp_php', [scriptOf(plan), '--force'], { cwd: panelOf(plan), timeoutMs: EXPORT_MS })
      .catch((cause) => {
        if (!isFailure(cause, 'ToolFailed')) throw cause;
        throw ctx.fail('ToolFailed', "ApisCP's export of the accounts' databases failed", {
          details: (cause.details?.[0] ?? {}) as FailureDetails,
          cause,
        });
      });
    await exportsAreWhole(plan, began, ctx);
  },

  setUp: (_plan, { undo, record }, ctx) => setScope(record, undo, ctx),

  async checks(restored, ctx) {
    return [
      ...(await databasesAgainstManifest(restored, ctx)),
      ...(await filesAgainstList(restored, ctx)),
      ...(await attributesAgainstList(restored, ctx)),
      ...(await accountsChecks(restored, ctx)),
      ...(await loadChecks(restored, ctx)),
    ];
  },
};

function panelOf(plan: Plan): string {
  return resolve(plan.root, optionsOf(plan).panel);
}

function scriptOf(plan: Plan): string {
  return join(panelOf(plan), 'bin/scripts/backup_dbs.php');
}

/** Both parts of each account are required: one of them alone restores nothing (R7, R8). */
async function accountsAreWhole({ root }: Plan, ctx: Context): Promise<void> {
  const lacking: string[] = [];
  for (const account of await accountsIn(root))
    for (const part of ['shadow', 'info'])
      if (!(await exists(join(root, account, part)))) lacking.push(`${account}/${part}`);
  if (lacking.length > 0)
    throw ctx.fail('SourceMissing', `${lacking[0]} is not there${more(lacking)}`, {
      advice: 'repair the account, or remove its directory',
      details: { places: lacking.slice(0, 20) },
    });
}

/** The export's exit code proves nothing: each dump that it left is looked at. */
async function exportsAreWhole(plan: Plan, since: number, ctx: Context): Promise<void> {
  const { fresh, stale } = await dumpsSince(plan.root, since);
  if (fresh.length === 0 && optionsOf(plan).accountDatabases)
    throw ctx.fail('DumpEmpty', "ApisCP's export ended well and left no dump of any account's database", {
      advice: 'run it by hand; where no account has a database, set options.accountDatabases: false',
    });
  const bad: string[] = [];
  for (const dump of fresh) {
    const why = await whyNotWhole(dump, ctx);
    if (why) bad.push(`${dump.path}: ${why}`);
  }
  if (bad.length > 0)
    throw ctx.fail('DumpIncomplete', `${bad[0]}${more(bad)}`, { details: { places: bad.slice(0, 20) } });
  const bytes = fresh.reduce((sum, dump) => sum + dump.bytes, 0);
  const accounts = new Set(fresh.map(({ account }) => account)).size;
  ctx.note(`${fresh.length} databases of ${accounts} accounts exported, ${formatBytes(bytes)}, each whole`);
  if (stale.length > 0)
    ctx.note(
      `${stale.length} databases have older dumps only, as of one that was dropped: ${stale.slice(0, 3).join(', ')}`,
    );
}

const more = (places: readonly string[]): string => (places.length > 1 ? ` and ${places.length - 1} more` : '');
