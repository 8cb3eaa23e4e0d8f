import { cp, lstat, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { formatBytes } from '../../src/core/durations.js';
import { type FileLine, type FileSetEntry, Manifest } from '../../src/core/manifest.js';
import type { FileSetSpec, Plan } from '../../src/core/plan.js';
import { checks } from '../checks/index.js';
import type { Context } from '../contracts.js';
import { databases } from '../databases/index.js';
import type { StateDir } from '../site/api.js';
import { writeDurable } from '../site/durable.js';
import { bootId } from '../site/marks.js';
import { writeAttributes } from './attributes.js';
import { exists } from './copy.js';
import { CONFIG, FILES, LISTS, listOf, MANIFEST, REPORTS, stagingOf } from './layout.js';
import { sha256Of, sortFile, writeLines } from './lines.js';
import { parentsOf } from './parents.js';
import { walk } from './walk.js';

/** How many of the newest reports travel in each snapshot. */
const REPORTS_IN_SNAPSHOT = 50;

/**
 * Completes a committed capture once the application runs again: lists the files that are stored from where they lie,
 * sees that all that the captured databases refer to is there, and adds config and reports. Idempotent; the manifest is written last.
 */
export async function seal(state: StateDir, plan: Plan, ctx: Context): Promise<Manifest> {
  const dir = stagingOf(state, plan.site);
  const committed = await readManifest(join(dir, MANIFEST));
  if (committed.fileSets.length > 0 || committed.notes.includes(SEALED)) return committed;
  const manifest = await described(committed, dir, ctx);
  await rm(join(dir, LISTS), { recursive: true, force: true });
  await mkdir(join(dir, LISTS), { mode: 0o700 });
  const filesAsOf = new Date().toISOString();
  const fileSets: FileSetEntry[] = [];
  for (const set of plan.fileSets) {
    const entry = await list(set, dir, ctx);
    if (entry) fileSets.push(entry);
  }
  const extra = new Set<string>();
  const pending = await extraFiles(plan, manifest, dir, extra, ctx);
  if (pending) fileSets.push(pending);
  const places = [...manifest.databases.flatMap(({ path }) => path ?? []), ...fileSets.map(({ root }) => `${root}/.`)];
  const directories = await parentsOf(plan.root, [...places, ...extra]);
  await referencesAreThere(plan, manifest, dir, ctx);
  await writeDurable(join(dir, CONFIG), plan.configText);
  await addReports(state, plan.site, join(dir, REPORTS));
  const sealed: Manifest = { ...manifest, filesAsOf, fileSets, directories, notes: [...manifest.notes, SEALED] };
  await writeDurable(join(dir, MANIFEST), `${JSON.stringify(sealed, null, 1)}\n`);
  return sealed;
}

const SEALED = 'sealed';

/** Waits until what was copied is on disk, and reads the copies that were only made while the application was down. */
async function described(committed: Manifest, dir: string, ctx: Context): Promise<Manifest> {
  const { copiedIn, ...rest } = committed;
  if (copiedIn === undefined) return committed;
  if (copiedIn !== bootId())
    throw ctx.fail('SnapshotMissing', 'the machine restarted before the capture was on its disk', {
      advice: 'start the backup again',
    });
  await ctx.run('sync', ['-f', dir]);
  const entries: Manifest['databases'] = [];
  for (const { unread, ...entry } of committed.databases) {
    const halves = unread && databases[entry.kind as keyof typeof databases].halves;
    const read = halves ? await halves.describe(join(dir, entry.file), entry.name, ctx) : {};
    entries.push({ ...entry, ...read });
  }
  const manifest: Manifest = { ...rest, databases: entries };
  await writeDurable(join(dir, MANIFEST), `${JSON.stringify(manifest, null, 1)}\n`);
  return manifest;
}

export async function readManifest(path: string): Promise<Manifest> {
  return Manifest.parse(JSON.parse(await readFile(path, 'utf8')));
}

async function list(set: FileSetSpec, dir: string, ctx: Context): Promise<FileSetEntry | undefined> {
  const staged = set.change === 'mutable';
  const root = staged ? join(dir, FILES, set.name) : set.root;
  if (!(await exists(root))) {
    if (set.optional) return undefined;
    throw ctx.fail('SourceMissing', `file set ${set.name} is gone: ${set.root}`);
  }
  const source = staged ? { root, include: [], exclude: [] } : set;
  const unreadable: string[] = [];
  let unnamed = 0;
  const unnameable = (path: string) => (set.change === 'live' ? unnamed++ : unreadable.push(`${path} (no UTF-8)`));
  const entry = await writeList(
    set.name,
    set.root,
    dir,
    walk(source, (path) => unreadable.push(path), unnameable),
    ctx,
  );
  // Stored they are, with the directory that they lie in.
  if (unnamed > 0) ctx.note(`${set.name}: ${unnamed} names are no UTF-8; they are stored, and not compared`);
  if (unreadable.length > 0) {
    throw ctx.fail('SourceUnreadable', `file set ${set.name}: ${unreadable.length} places cannot be read`, {
      details: { places: unreadable.slice(0, 20) },
    });
  }
  if (entry.files === 0 && !set.mayBeEmpty && !set.optional)
    throw ctx.fail('SourceEmpty', `file set ${set.name} has no file`);
  ctx.beat({ said: `listed ${entry.files} files, ${formatBytes(entry.bytes)}` });
  const attributes = set.attributes ? await writeAttributes({ ...source, name: set.name }, dir, ctx) : undefined;
  return {
    ...entry,
    where: staged ? 'staged' : 'inPlace',
    ...(set.change === 'live' ? { live: true } : {}),
    ...(attributes ? { attributes } : {}),
  };
}

async function writeList(
  name: string,
  root: string,
  dir: string,
  lines: AsyncIterable<FileLine>,
  ctx: Context,
): Promise<Omit<FileSetEntry, 'where'>> {
  const file = join(dir, listOf(name));
  let files = 0;
  let bytes = 0;
  async function* texts(): AsyncGenerator<string> {
    for await (const line of lines) {
      if (line.t === 'f') files++;
      bytes += line.s;
      if (files % 1000 === 0) ctx.beat({ files });
      yield JSON.stringify(line);
    }
  }
  await writeLines(file, texts());
  await sortFile(file, ctx);
  return { name, root, files, bytes, list: listOf(name), listSha256: await sha256Of(file) };
}

/** Files outside the sets that the captured databases still need: sources of an unfinished upload. */
async function extraFiles(
  plan: Plan,
  manifest: Manifest,
  dir: string,
  directories: Set<string>,
  ctx: Context,
): Promise<FileSetEntry | undefined> {
  const find = checks[plan.app]?.extraFiles;
  if (!find) return undefined;
  const capture = { manifest, plan, file: (relative: string) => join(dir, relative) };
  async function* lines(): AsyncGenerator<FileLine> {
    for await (const extra of find!(capture, ctx)) {
      const line = await lineOf(plan.root, extra.path);
      if (line) {
        directories.add(`${dirname(extra.path)}/.`);
        yield line;
      }
      ctx.note(`${extra.why}${line ? '' : ', and is gone'}`);
    }
  }
  const entry = await writeList('extra', plan.root, dir, lines(), ctx);
  if (entry.files > 0) return { ...entry, where: 'inPlace' };
  await rm(join(dir, listOf('extra')), { force: true });
  return undefined;
}

async function lineOf(root: string, path: string): Promise<FileLine | undefined> {
  const stats = await lstat(path).catch(() => undefined);
  if (!stats?.isFile()) return undefined;
  const p = path.slice(root.length + 1);
  return { p, t: 'f', s: stats.size, m: Math.trunc(stats.mtimeMs), o: stats.mode & 0o7777, u: stats.uid, g: stats.gid };
}

/** A row whose files are gone would be restored as a broken one: that is no backup. */
async function referencesAreThere(plan: Plan, manifest: Manifest, dir: string, ctx: Context): Promise<void> {
  const { references, missingAdvice } = checks[plan.app] ?? {};
  if (!references) return;
  const missing: string[] = [];
  let count = 0;
  for await (const path of references({ manifest, plan, file: (relative) => join(dir, relative) }, ctx)) {
    if (++count % 500 === 0) ctx.beat();
    if (!(await exists(path))) missing.push(path.startsWith(`${plan.root}/`) ? path.slice(plan.root.length + 1) : path);
  }
  if (missing.length === 0) return;
  throw ctx.fail(
    'FilesVanished',
    `${missing.length} files that the captured database refers to are not there: ${missing[0]}`,
    {
      ...(missingAdvice === undefined ? {} : { advice: missingAdvice }),
      details: { places: missing.slice(0, 20) },
    },
  );
}

async function addReports(state: StateDir, site: string, target: string): Promise<void> {
  await rm(target, { recursive: true, force: true });
  await mkdir(target, { recursive: true, mode: 0o700 });
  for (const [dir, prefix] of [
    [state.reports(site), 'report'],
    [state.proofs(site), 'proof'],
  ] as const) {
    const files = (await readdir(dir))
      .filter((file) => file.endsWith('.json'))
      .sort()
      .slice(-REPORTS_IN_SNAPSHOT);
    for (const file of files) await cp(join(dir, file), join(target, `${prefix}-${file}`));
  }
}
