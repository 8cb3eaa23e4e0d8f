import { createWriteStream } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { FileLine, type FileSetEntry, type Manifest, type Snapshot } from '../../src/core/manifest.js';
import { shortId } from '../../src/core/names.js';
import type { Plan, RepositorySpec } from '../../src/core/plan.js';
import { engines } from '../engines/index.js';
import type { PlannedEnv } from '../step.js';
import { compare, type LiveDifference, rootInSnapshot } from './compare.js';
import { MANIFEST } from './layout.js';
import { readLines, sha256Of, writeLines } from './lines.js';
import { hasLive, livedText, liveJudge, mustBeAlive, recordOfLived } from './live.js';
import { outermost } from './places.js';
import { stagingBelow } from './restored.js';
import { withWorkDir } from './workdir.js';

/**
 * Names in `only` that are neither a database nor a file set: directories below the root of a set that has parts. Empty where `only` names
 * anything else too, or no set has parts: then the names are judged as such.
 */
export function partsIn(only: readonly string[] | undefined, plan: Plan): string[] {
  if (!only || !plan.fileSets.some(({ parts }) => parts)) return [];
  const names = new Set([...plan.databases, ...plan.fileSets].map(({ name }) => name));
  return only.every((name) => !names.has(name)) ? [...only] : [];
}

/** Once a tree holds parts alone, its manifest says so, and everything in it is wanted. */
export function wantedIn(manifest: Manifest, only: readonly string[] | undefined): readonly string[] | undefined {
  return manifest.fileSets.some(({ parts }) => parts) ? undefined : only;
}

const inParts = (p: string, parts: readonly string[]): boolean =>
  parts.some((part) => p === part || p.startsWith(`${part}/`));

/** Where parts lie in a snapshot, by its lists below `staging`, and how many bytes they have. Throws RestoreRefused for one that it does not have. */
export async function placesOfParts(
  manifest: Manifest,
  staging: string,
  parts: readonly string[],
  plan: Plan,
  ctx: PlannedEnv['ctx'],
): Promise<{ paths: string[]; bytes: number }> {
  const paths: string[] = [];
  let bytes = 0;
  for (const entry of setsWithParts(manifest, plan)) {
    const list = join(staging, entry.list);
    for (const p of await outermost(list)) if (inParts(p, parts)) paths.push(join(rootInSnapshot(manifest, entry), p));
    for await (const text of readLines(list)) {
      const { p, s } = JSON.parse(text) as { p: string; s: number };
      if (inParts(p, parts)) bytes += s;
    }
  }
  const roots = setsWithParts(manifest, plan).map((entry) => rootInSnapshot(manifest, entry));
  const unknown = parts.filter(
    (part) => !paths.some((path) => roots.some((root) => inParts(relative(root, path), [part]))),
  );
  if (unknown.length > 0)
    throw ctx.fail('RestoreRefused', `the snapshot has no part ${unknown.join(', ')}`, {
      advice: `name ${[...manifest.databases, ...manifest.fileSets].map(({ name }) => name).join(', ')}, or a directory in ${roots.join(', ') || 'none'}`,
    });
  return { paths, bytes };
}

function setsWithParts(manifest: Manifest, plan: Plan): FileSetEntry[] {
  return manifest.fileSets.filter((entry) => plan.fileSets.some(({ name, parts }) => parts && name === entry.name));
}

/**
 * Makes the manifest and the lists of a fetched tree describe what its snapshot really has: files of live sets may have changed or gone
 * between their list and their copy. The snapshot's own listing tells, and what this host found when it verified it must be the same.
 * With `parts`, nothing else is left in them.
 */
export async function asStored(
  manifest: Manifest,
  tree: string,
  from: { repository: RepositorySpec; snapshot: Snapshot; parts: readonly string[] },
  env: PlannedEnv,
): Promise<Manifest> {
  if (!hasLive(manifest) && from.parts.length === 0) return manifest;
  const { ctx, deps, plan } = env;
  const staging = stagingBelow(manifest, tree);
  await mustBeWhole(manifest, staging, from.snapshot, ctx);
  const sets = from.parts.length > 0 ? setsWithParts(manifest, plan) : manifest.fileSets;
  return withWorkDir(deps.state, async (dir) => {
    if (hasLive(manifest)) await differences(manifest, staging, dir, from, env);
    const fileSets: FileSetEntry[] = [];
    for (const entry of sets) {
      if (!entry.live && from.parts.length === 0) fileSets.push(entry);
      else fileSets.push(await rewrite(entry, staging, dir, from.parts));
    }
    const stored: Manifest = { ...manifest, fileSets, ...(from.parts.length > 0 ? { databases: [] } : {}) };
    await writeFile(join(staging, MANIFEST), `${JSON.stringify(stored, null, 1)}\n`);
    return stored;
  });
}

async function mustBeWhole(manifest: Manifest, staging: string, snapshot: Snapshot, ctx: PlannedEnv['ctx']) {
  for (const { list, listSha256 } of manifest.fileSets) {
    if ((await sha256Of(join(staging, list)).catch(() => undefined)) !== listSha256)
      throw ctx.fail('SnapshotDiffers', `${list} in snapshot ${shortId(snapshot)} is not what was captured`);
  }
}

/** Writes what differs to `<dir>/<set>.lived`, in the order of the lists. */
async function differences(
  manifest: Manifest,
  staging: string,
  dir: string,
  { repository, snapshot }: { repository: RepositorySpec; snapshot: Snapshot },
  { deps, plan, ctx }: PlannedEnv,
): Promise<void> {
  const judge = liveJudge(manifest, plan, false);
  const outs = new Map(
    manifest.fileSets
      .filter(({ live }) => live)
      .map(({ name }) => [name, createWriteStream(join(dir, `${name}.lived`), { mode: 0o600 })]),
  );
  const take = async (difference: LiveDifference): Promise<void> => {
    outs.get(difference.set)?.write(`${JSON.stringify(difference)}\n`);
    await judge.take(difference);
  };
  const contents = engines[repository.engine].contents(repository, snapshot.id, ctx);
  await mkdir(join(dir, 'compare'));
  const found = await compare(manifest, staging, contents, join(dir, 'compare'), ctx, take);
  for (const out of outs.values()) await new Promise<void>((done, failed) => out.on('error', failed).end(done));
  const lived = judge.end(found);
  const known = await recordOfLived(deps.state, plan.site, repository.name, snapshot).read();
  if (known && known.sha256 !== lived.sha256)
    throw ctx.fail('SnapshotDiffers', `snapshot ${shortId(snapshot)} holds other files than when it was verified`);
  mustBeAlive(lived, snapshot, ctx);
  const text = livedText(lived);
  if (text) ctx.note(known ? text : `${text}, as far as this host can tell: it did not verify this snapshot`);
}

/** The list without what the snapshot lacks, with the sizes that it has. */
async function rewrite(
  entry: FileSetEntry,
  staging: string,
  dir: string,
  parts: readonly string[],
): Promise<FileSetEntry> {
  const list = join(staging, entry.list);
  const lived = entry.live ? readLines(join(dir, `${entry.name}.lived`)) : undefined;
  const nextLived = async (): Promise<LiveDifference | undefined> => {
    const next = await lived?.next();
    return next && !next.done ? (JSON.parse(next.value) as LiveDifference) : undefined;
  };
  let [files, bytes] = [0, 0];
  async function* lines(): AsyncGenerator<string> {
    let other = await nextLived();
    for await (const text of readLines(list)) {
      let line = FileLine.parse(JSON.parse(text));
      if (other && other.path === join(entry.root, line.p)) {
        const { have } = other;
        other = await nextLived();
        if (have === undefined) continue;
        const [t, s] = have.split('\t');
        line = { ...line, t: t as FileLine['t'], s: Number(s) };
        // What they were of is another file now.
        for (const key of ['h', 'l', 'd'] as const) delete line[key];
      }
      if (parts.length > 0 && !inParts(line.p, parts)) continue;
      if (line.t === 'f') files++;
      bytes += line.s;
      yield JSON.stringify(line);
    }
  }
  const beside = `${list}.stored`;
  await writeLines(beside, lines());
  await rename(beside, list);
  return {
    ...entry,
    files,
    bytes,
    listSha256: await sha256Of(list),
    ...(parts.length > 0 ? { parts: [...parts] } : {}),
  };
}
