import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { listOf } from '../../activities/capture/layout.js';
import { sha256Of, sortFile, writeLines } from '../../activities/capture/lines.js';
import { walk } from '../../activities/capture/walk.js';
import type { Context, Restored } from '../../activities/contracts.js';
import { databases } from '../../activities/databases/index.js';
import { seed } from '../../examples/videocms/seed.mjs';
import { apps } from '../../src/apps/index.js';
import { type FileSetEntry, Manifest } from '../../src/core/manifest.js';
import { Plan, pathOf } from '../../src/core/plan.js';

const FIXTURES = fileURLToPath(new URL('../../../shared/fixtures/videocms/', import.meta.url));
export const NO_FIXTURES = existsSync(FIXTURES) ? undefined : 'no ../shared/fixtures here';

/** A directory that goes when the tests end. */
export function temporary(): string {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-test-'));
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
  return dir;
}
process.setMaxListeners(0);

/** A site of our own generator: everything is in its write-ahead log. */
export async function generatedSite(videos = 3): Promise<string> {
  const root = join(temporary(), 'site');
  await seed({ dir: root, videos, mb: 1 });
  return root;
}

/** A site that the real program wrote. `young` has its database from before any checkpoint. */
export function fixtureSite(kind: 'hot' | 'young' = 'hot'): string {
  const dir = temporary();
  execFileSync('tar', ['xzf', join(FIXTURES, 'videocms-hot.tar.gz'), '-C', dir]);
  const root = join(dir, 'videocms');
  if (kind === 'young') {
    rmSync(join(root, 'database'), { recursive: true });
    execFileSync('tar', ['xzf', join(FIXTURES, 'database-young.tar.gz'), '-C', root]);
  }
  return root;
}

export function planOf(root: string, options: Record<string, unknown> = {}, more: Partial<Plan> = {}): Plan {
  const app = apps.videocms!;
  const parsed = app.options.parse(options) as Record<string, unknown>;
  const { databases: dbs, fileSets, uncovered } = app.plan({ root, options: parsed }, { entries: [], volumes: [] });
  return Plan.parse({
    schema: 1,
    site: 'cms',
    siteId: 'cms',
    app: 'videocms',
    host: 'local',
    root,
    services: [],
    databases: dbs,
    fileSets,
    uncovered,
    options: parsed,
    repositories: [{ name: 'nas', engine: 'archive', location: '/nowhere' }],
    hooks: {},
    notify: [],
    limits: { downtimeMs: 300_000 },
    objectives: {},
    restore: {},
    restoreTest: {},
    configText: '',
    ...more,
  });
}

/** A capture of the site: databases dumped below `dir`, files listed with their hashes. The site's log is folded in. */
export async function capture(plan: Plan, dir: string, ctx: Context): Promise<Manifest> {
  const entries: Manifest['databases'] = [];
  for (const spec of plan.databases) {
    const below = join(dir, 'databases', spec.name);
    mkdirSync(below, { recursive: true });
    await databases[spec.kind].checkpoint?.(spec, undefined, ctx);
    const { file, ...rest } = await databases[spec.kind].dump(spec, below, undefined, ctx);
    const { name, kind, format } = spec;
    entries.push({ name, kind, format, path: pathOf(spec), file: `databases/${name}/${file}`, ...rest });
  }
  mkdirSync(join(dir, 'lists'), { recursive: true });
  const fileSets: FileSetEntry[] = [];
  for (const set of plan.fileSets) {
    let [files, bytes] = [0, 0];
    async function* lines() {
      for await (const line of walk(set, () => {})) {
        if (line.t === 'f') files++;
        bytes += line.s;
        yield JSON.stringify(line.t === 'f' ? { ...line, h: await sha256Of(join(set.root, line.p)) } : line);
      }
    }
    const list = join(dir, listOf(set.name));
    await writeLines(list, lines());
    await sortFile(list, ctx);
    const { name, root } = set;
    fileSets.push({ name, root, where: 'inPlace', files, bytes, list: listOf(name), listSha256: await sha256Of(list) });
  }
  const now = new Date().toISOString();
  return Manifest.parse({
    ...{
      schema: 1,
      holdfast: '0',
      captureId: 'c',
      runId: 'r',
      site: 'cms',
      siteId: 'cms',
      app: 'videocms',
      host: 'local',
    },
    ...{ root: plan.root, kind: 'regular', capturedAt: now, filesAsOf: now, consistency: 'stopped', staging: dir },
    ...{ databases: entries, fileSets, uncovered: [], tools: {}, notes: [] },
  });
}

/** What a restore makes of a capture: the site as it lay on its host, with what describes it in `.holdfast`. */
export async function restored(plan: Plan, ctx: Context, of = 1): Promise<Restored> {
  const base = temporary();
  const [about, root] = [join(base, 'site/.holdfast'), join(base, 'site')];
  mkdirSync(about, { recursive: true });
  const manifest = await capture(plan, about, ctx);
  cpSync(plan.root, root, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  for (const entry of manifest.databases) {
    const place = join(root, relative(plan.root, entry.path ?? ''));
    if (entry.format === 'file') cpSync(join(about, entry.file), place);
    else await databases.sqlite.load(join(about, entry.file), entry.format, place, ctx);
    for (const sidecar of databases.sqlite.sidecars(place)) rmSync(sidecar, { force: true });
  }
  const scratch = join(base, 'scratch');
  mkdirSync(scratch);
  return {
    root,
    manifest,
    plan,
    relocate: (path) => resolve(root, relative(plan.root, path)),
    scratch,
    part: { n: 1, of },
  };
}

/** Flips one bit of a file. */
export function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  const { mtime } = statSync(path);
  writeFileSync(path, bytes);
  execFileSync('touch', ['-d', mtime.toISOString(), path]);
}
