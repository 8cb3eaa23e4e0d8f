import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { exists } from './capture/copy.js';
import { mountsBelow } from './capture/disk.js';
import type { Context } from './contracts.js';
import { clearExchanged, Exchanged, joined } from './exchanged.js';
import type { StateDir } from './site/api.js';
import { writeDurable } from './site/durable.js';

/** What restores in place and rollbacks have put aside: shown by `status`, dropped after 7 days. */
const Asides = z.array(
  z.object({
    path: z.string(),
    at: z.string(),
    snapshot: z.string(),
    /** Of a guarded change: what it had made. Else the state from before a restore. */
    kind: z.literal('rolled-back').optional(),
    /** Put aside in their servers. */
    databases: z.array(Exchanged).optional(),
  }),
);
export type Aside = z.infer<typeof Asides>[number];

const KEPT_MS = 7 * 86_400_000;

export async function readAsides(state: StateDir, site: string): Promise<Aside[]> {
  const text = await readFile(pathOf(state, site), 'utf8').catch(() => '[]');
  return Asides.catch([]).parse(JSON.parse(text));
}

export async function noteAside(state: StateDir, site: string, aside: Aside): Promise<void> {
  const all = await readAsides(state, site);
  const databases = joined(all.find(({ path }) => path === aside.path)?.databases, aside.databases);
  const others = all.filter(({ path }) => path !== aside.path);
  await write(state, site, [...others, { ...aside, ...(databases.length > 0 ? { databases } : {}) }]);
}

/** Removes what has been kept long enough, and forgets what is gone. */
export async function dropOldAsides(state: StateDir, site: string, ctx: Context, now = Date.now()): Promise<void> {
  const all = await readAsides(state, site);
  const left: Aside[] = [];
  for (const aside of all) {
    if (now - Date.parse(aside.at) > KEPT_MS) {
      if (await isInUse(aside.path, ctx)) {
        left.push(aside);
        continue;
      }
      await rm(aside.path, { recursive: true, force: true });
      if (!(await clearExchanged(aside.databases ?? [], 'drop', ctx))) left.push(aside);
    } else if (aside.databases?.length || (await exists(aside.path))) left.push(aside);
  }
  if (left.length !== all.length) await write(state, site, left);
}

/** Removes one that a person has named. */
export async function dropAside(state: StateDir, site: string, path: string, ctx: Context): Promise<void> {
  if (await isInUse(path, ctx))
    throw ctx.fail('RestoreRefused', `a disk is mounted in ${path}`, { advice: 'unmount it; nothing was removed' });
  await rm(path, { recursive: true, force: true });
  const all = await readAsides(state, site);
  const tagged = all.filter((aside) => aside.path === path).flatMap((aside) => aside.databases ?? []);
  if (!(await clearExchanged(tagged, 'drop', ctx))) return;
  await write(
    state,
    site,
    all.filter((aside) => aside.path !== path),
  );
}

/** What is mounted there is no copy of ours, and would go with the tree. */
async function isInUse(path: string, ctx: Context): Promise<boolean> {
  const [mounted] = await mountsBelow(path);
  if (mounted !== undefined) ctx.note(`kept ${path}: a disk is mounted in it, at ${mounted}`);
  return mounted !== undefined;
}

async function write(state: StateDir, site: string, asides: Aside[]): Promise<void> {
  await writeDurable(pathOf(state, site), JSON.stringify(asides, null, 1));
}

function pathOf(state: StateDir, site: string): string {
  return join(state.site(site).dir, 'aside.json');
}
