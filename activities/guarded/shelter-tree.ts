import { chmod, chown, lstat, mkdir } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import type { DatabaseEntry, Manifest } from '../../src/core/manifest.js';
import { type DatabaseSpec, type FileSetSpec, type OperationSpec, type Plan, pathOf } from '../../src/core/plan.js';
import { ABOUT, inSite, placeDatabase, siteIn } from '../capture/arrange.js';
import { copyNamed, copyTree, exists } from '../capture/copy.js';
import { diskIn } from '../capture/disk.js';
import { LISTS, listOf, MANIFEST } from '../capture/layout.js';
import { writeLines } from '../capture/lines.js';
import { walk } from '../capture/walk.js';
import type { Context, Fence } from '../contracts.js';
import { type Exchanged, exchangeOf } from '../exchanged.js';
import { writeDurable } from '../site/durable.js';
import type { PlannedEnv } from '../step.js';
import { withFence } from '../tools/context.js';

/** Whether an operation may change a part of the site. */
export const touches = ({ touches }: Pick<OperationSpec, 'touches'>, name: string): boolean =>
  touches?.includes(name) ?? true;

/**
 * Makes the tree that a guarded change rolls back to, arranged as a fetched snapshot is: databases from the capture, mutable sets
 * copied, the others hard-linked, because their files are never written in place. Returns its manifest.
 */
export async function makeShelter(
  tree: string,
  capture: Manifest,
  operation: OperationSpec,
  fence: Fence | undefined,
  env: PlannedEnv,
): Promise<Manifest> {
  const { plan } = env;
  const site = siteIn(tree);
  await mkdir(site, { mode: 0o700 });
  const sets = [];
  for (const set of plan.fileSets.filter(({ name }) => touches(operation, name)))
    if (await exists(set.root)) sets.push(set);
  const databases = capture.databases.filter(({ name }) => touches(operation, name));
  const manifest: Manifest = {
    ...capture,
    databases,
    fileSets: sets.map(({ name, root }) => {
      return { name, root, where: 'staged', files: 0, bytes: 0, list: listOf(name), listSha256: '' };
    }),
  };
  for (const set of sets) await shelterSet(set, site, manifest, fence, env);
  // After the sets: a copy of the whole root removes what it does not know.
  await mkdir(join(site, ABOUT, LISTS), { recursive: true, mode: 0o700 });
  for (const set of sets) if (set.include.length > 0) await listSet(set, site);
  for (const entry of databases) if (entry.path !== undefined) await shelterDatabase(entry, site, manifest, fence, env);
  await writeDurable(join(site, ABOUT, MANIFEST), JSON.stringify(manifest));
  return manifest;
}

async function shelterSet(
  set: FileSetSpec,
  site: string,
  manifest: Manifest,
  fence: Fence | undefined,
  env: PlannedEnv,
): Promise<void> {
  const target = inSite(site, manifest, set.root);
  await likeLive(target, set.root, site);
  const copied = set.change === 'mutable';
  // Never linked to what the warm pass keeps: after a rollback the application writes into these very files.
  if (set.include.length === 0) return copyTree(set, target, fence, env, [0], copied ? '' : set.root);
  await copyNamed(set, target, fence, env, copied ? '--reflink=auto' : '--link');
}

/** What is exchanged file by file. */
async function listSet(set: FileSetSpec, site: string): Promise<void> {
  async function* texts(): AsyncGenerator<string> {
    for await (const line of walk(set, () => {})) yield JSON.stringify(line);
  }
  await writeLines(join(site, ABOUT, listOf(set.name)), texts());
}

/** Databases in servers that an operation may change. */
export const servedBy = ({ databases }: Pick<Plan, 'databases'>, operation: OperationSpec): DatabaseSpec[] =>
  databases.filter((spec) => pathOf(spec) === undefined && touches(operation, spec.name));

/** Loads the capture's databases that live in servers beside the live ones, each program at the section's epoch. */
export async function shelterServed(
  served: readonly Exchanged[],
  { databases, staging }: Manifest,
  fence: Fence | undefined,
  ctx: Context,
): Promise<void> {
  const fenced = fence ? withFence(ctx, fence) : ctx;
  for (const { spec, tag } of served) {
    const entry = databases.find(({ name }) => name === spec.name);
    if (entry) await exchangeOf(spec)?.stage(spec, join(staging, entry.file), tag, fenced);
  }
}

/** A link is enough where the capture lies on the same disk: nobody writes into a dump. */
async function shelterDatabase(
  entry: DatabaseEntry,
  site: string,
  manifest: Manifest,
  fence: Fence | undefined,
  { ctx }: PlannedEnv,
): Promise<void> {
  const target = inSite(site, manifest, entry.path ?? '');
  const from = join(manifest.staging, entry.file);
  await likeLive(dirname(target), dirname(entry.path ?? ''), site);
  const copy = join(site, ABOUT, `${entry.name}-${basename(entry.file)}`);
  const same = (await diskIn(manifest.staging)) === (await diskIn(site));
  await ctx.run('cp', ['-a', same ? '--link' : '--reflink=auto', '--', from, copy], fence ? { fence } : {});
  await placeDatabase(copy, target, entry, ctx);
}

/** Makes a directory and those above it, with owner and mode of the live ones: a rollback may have to make them anew. */
async function likeLive(dir: string, live: string, site: string): Promise<void> {
  if (relative(site, dir) === '' || (await exists(dir))) return;
  await likeLive(dirname(dir), dirname(live), site);
  await mkdir(dir);
  const { uid, gid, mode } = await lstat(live);
  if (process.getuid?.() === 0) await chown(dir, uid, gid);
  await chmod(dir, mode & 0o7777);
}
