import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ACCOUNT } from '../../src/apps/apiscp.js';
import { FileLine } from '../../src/core/manifest.js';
import type { Check } from '../../src/core/report.js';
import { ABOUT } from '../capture/arrange.js';
import { readLines } from '../capture/lines.js';
import { deviceOf } from '../capture/walk.js';
import type { Context, Restored } from '../contracts.js';
import { accountsIn, dumpsSince, whyNotWhole } from './apiscp-dumps.js';
import { tally } from './tally.js';

/** What makes a restored account whole: both of its parts, its metadata, its devices, owners and modes, and its databases' dumps. */
export async function accountsChecks(restored: Restored, ctx: Context): Promise<Check[]> {
  const root = restored.relocate(restored.manifest.root);
  return [await parts(root, restored), ...(await entries(restored, ctx)), await dumps(root, restored, ctx)];
}

/** Each account that the list or the tree knows has shadow and info, and something in info/cur. */
async function parts(root: string, { manifest, root: site }: Restored): Promise<Check> {
  const found = tally();
  const accounts = new Set(await accountsIn(root));
  for (const set of manifest.fileSets.filter(({ name }) => name === 'accounts'))
    for await (const text of readLines(join(site, ABOUT, set.list))) {
      const [account = ''] = (JSON.parse(text) as { p: string }).p.split('/');
      if (ACCOUNT.test(account)) accounts.add(account);
    }
  for (const account of accounts) {
    const lacking: string[] = [];
    for (const part of ['shadow', 'info'])
      if (!(await lstat(join(root, account, part)).catch(() => undefined))?.isDirectory()) lacking.push(part);
    if (lacking.length > 0) found.bad(`${account}: lacks ${lacking.join(' and ')}`);
    else if ((await readdir(join(root, account, 'info/cur')).catch(() => [])).length === 0)
      found.bad(`${account}: info/cur is missing or empty`);
    else found.good();
  }
  if (accounts.size === 0) found.bad('there is no account');
  return found.check(
    'accounts',
    (all) => `${all} accounts have shadow, info and info/cur`,
    (bad, all) => `${bad} of ${all} accounts are not whole`,
  );
}

/** Devices (a whiteout is one) by kind and number; owners and modes of what did not change meanwhile. */
async function entries({ manifest, root, relocate }: Restored, ctx: Context): Promise<Check[]> {
  const [devices, owners] = [tally(), tally()];
  for (const set of manifest.fileSets.filter(({ live }) => live)) {
    const at = relocate(set.root);
    for await (const text of readLines(join(root, ABOUT, set.list))) {
      const line = FileLine.parse(JSON.parse(text));
      ctx.beat();
      const path = join(at, line.p);
      const stats = await lstat(path).catch(() => undefined);
      if (!stats) {
        if (line.d !== undefined) devices.bad(`${path}: missing, it was ${line.d}`);
        continue;
      }
      if (line.d !== undefined) {
        const is = stats.isCharacterDevice() || stats.isBlockDevice() ? deviceOf(stats) : 'no device';
        if (is === line.d) devices.good();
        else devices.bad(`${path}: ${is}, it was ${line.d}`);
      }
      // A link has no mode of its own; another time says that it is another file now.
      if (stats.isSymbolicLink() || Math.trunc(stats.mtimeMs) !== line.m) continue;
      const [is, was] = [ownedBy(stats.uid, stats.gid, stats.mode), ownedBy(line.u, line.g, line.o)];
      if (is === was) owners.good();
      else owners.bad(`${path}: ${is}, it was ${was}`);
    }
  }
  return [
    devices.check('devices', (all) => `${all} devices, whiteouts among them, as in the lists`),
    owners.check('owners and modes', (all) => `${all} entries have the owner and mode that they had`),
  ];
}

const ownedBy = (uid: number, gid: number, mode: number): string => `${uid}:${gid} ${(mode & 0o7777).toString(8)}`;

/** The run made its own dumps before it copied: they are here, and whole. */
async function dumps(root: string, { manifest, plan }: Restored, ctx: Context): Promise<Check> {
  const found = tally();
  const { fresh } = await dumpsSince(root, Date.parse(manifest.capturedAt));
  for (const dump of fresh) {
    const why = await whyNotWhole(dump, ctx);
    if (why) found.bad(`${dump.path}: ${why}`);
    else found.good();
  }
  const none = fresh.length === 0 && plan.options.accountDatabases !== false;
  if (none) found.bad(`no dump is newer than ${manifest.capturedAt}`);
  return found.check(
    "accounts' databases",
    (all) => `${all} dumps, each newer than the start of the run and whole`,
    (bad, all) => `${bad} of ${all} dumps are not`,
  );
}
