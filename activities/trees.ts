import { readdir, readFile, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { inTurn } from './capture/in-turn.js';
import type { Context } from './contracts.js';
import { clearExchanged, Exchanged, joined } from './exchanged.js';
import type { Holder, StateDir } from './site/api.js';
import { writeDurable } from './site/durable.js';

/**
 * Where runs of a site fetch snapshots to. Noted before the first byte: a run that is terminated, while a person thinks
 * about its approval say, clears nothing, and a copy of the site would fill its disk for ever.
 */
const Trees = z.array(
  z.object({
    path: z.string(),
    runId: z.string(),
    at: z.string(),
    /** Loaded beside the live ones, in their servers. */
    databases: z.array(Exchanged).optional(),
  }),
);
type Trees = z.infer<typeof Trees>;

/** A restore waits for a week, and may take a day. */
const KEPT_MS = 8 * 86_400_000;

export async function noteTree(
  state: StateDir,
  site: string,
  path: string,
  { firstRunId }: Holder,
  databases: Exchanged[] = [],
): Promise<void> {
  await inTurn(`trees ${site}`, async () => {
    const trees = await readTrees(state, site);
    const all = joined(trees.find((tree) => tree.path === path)?.databases, databases);
    await write(state, site, [
      ...trees.filter((tree) => tree.path !== path),
      { path, runId: firstRunId, at: new Date().toISOString(), ...(all.length > 0 ? { databases: all } : {}) },
    ]);
  });
}

/** Removes the trees of a run that has ended, and those of runs that never came to their end; with a context, what they loaded into servers too. */
export async function clearTrees(
  state: StateDir,
  site: string,
  { firstRunId }: Pick<Holder, 'firstRunId'>,
  ctx?: Context,
): Promise<void> {
  const trees = await readTrees(state, site);
  const over = trees.filter(({ runId, at }) => runId === firstRunId || Date.now() - Date.parse(at) > KEPT_MS);
  const gone = new Set<string>();
  for (const { path, databases = [] } of over) {
    await removeTree(path);
    if (databases.length === 0 || (ctx && (await clearExchanged(databases, 'unstage', ctx)))) gone.add(path);
  }
  if (gone.size > 0)
    await inTurn(`trees ${site}`, async () =>
      write(
        state,
        site,
        (await readTrees(state, site)).filter(({ path }) => !gone.has(path)),
      ),
    );
}

/** Removes a tree and those of its attempts (`<tree>-<attempt>`). */
export async function removeTree(path: string): Promise<void> {
  await removeAttempts(path);
  await rm(path, { recursive: true, force: true });
}

/** Removes what attempts at a tree left, and never the tree. */
export async function removeAttempts(path: string): Promise<void> {
  for (const name of await readdir(dirname(path)).catch(() => []))
    if (name.startsWith(`${basename(path)}-`)) await rm(join(dirname(path), name), { recursive: true, force: true });
}

async function readTrees(state: StateDir, site: string): Promise<Trees> {
  const text = await readFile(pathOf(state, site), 'utf8').catch(() => '[]');
  return Trees.catch([]).parse(JSON.parse(text));
}

async function write(state: StateDir, site: string, trees: Trees): Promise<void> {
  await writeDurable(pathOf(state, site), JSON.stringify(trees, null, 1));
}

function pathOf(state: StateDir, site: string): string {
  return join(state.site(site).dir, 'trees.json');
}
