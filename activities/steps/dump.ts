import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { formatBytes } from '../../src/core/durations.js';
import { consistencyOf, consistencyWords, type Manifest } from '../../src/core/manifest.js';
import { type DatabaseSpec, type Plan, pathOf } from '../../src/core/plan.js';
import { HOLDFAST_VERSION } from '../../src/core/version.js';
import type { Captured, CaptureInput } from '../api.js';
import { copyMutableSets, exists } from '../capture/copy.js';
import { DATABASES, DISCARDED, MANIFEST, stagingOf } from '../capture/layout.js';
import { checks as appChecks } from '../checks/index.js';
import type { Dumped, Fence } from '../contracts.js';
import { databases } from '../databases/index.js';
import type { Deps } from '../deps.js';
import { assertStopped } from '../site/assert-stopped.js';
import { syncDirectory, writeDurable } from '../site/durable.js';
import { once } from '../site/journal.js';
import { bootId } from '../site/marks.js';
import { type PlannedEnv, planned } from '../step.js';
import { dataPaths } from './data-paths.js';

type Input = CaptureInput & { epoch?: number };

/**
 * Dumps the databases and copies the mutable file sets, then commits the capture: one rename under the site's lock, at
 * this epoch, with the application asserted stopped before and after the copy. Without an epoch the site is backed up online.
 */
export const dump = (deps: Deps) =>
  planned<Input, Captured>(deps, 'dump', (input, env) =>
    once(deps.state, input.site, input.captureId, 'dump', async () => {
      const { plan, guard, ctx, holder, attempt } = env;
      const section = input.epoch === undefined ? undefined : await guard.section(input.epoch, ctx);
      const at = async () => section && (await assertStopped(plan.services, dataPaths(plan), ctx));
      const dir = await freshDirectory(deps, input, attempt);
      await at();
      const capturedAt = new Date().toISOString();
      await appChecks[plan.app]?.beforeCapture?.(plan, ctx);
      const dumped = await dumpDatabases(plan, dir, capturedAt, section?.fence, env);
      await copyMutableSets(plan, dir, section?.fence, env);
      const manifest: Manifest = {
        schema: 1,
        holdfast: HOLDFAST_VERSION,
        captureId: input.captureId,
        runId: holder.workflowId,
        site: plan.site,
        siteId: plan.siteId,
        app: plan.app,
        host: plan.host,
        root: plan.root,
        kind: holder.workflow === 'guardedChange' ? 'safety' : 'regular',
        capturedAt,
        filesAsOf: capturedAt,
        consistency: section ? 'stopped' : 'online',
        staging: stagingOf(deps.state, plan.site),
        databases: dumped,
        fileSets: [],
        copiedIn: bootId(),
        uncovered: plan.uncovered,
        tools: {},
        notes: [],
      };
      await writeDurable(join(dir, MANIFEST), `${JSON.stringify(manifest, null, 1)}\n`);
      await at();
      await commit(dir, manifest, input, env);
      const how = consistencyWords(consistencyOf(dumped));
      const bytes = dumped.reduce((n, entry) => n + entry.bytes, 0);
      return {
        said: `copied ${dumped.map(({ name }) => name).join(', ') || 'no database'}, ${formatBytes(bytes)}${how && `, ${how}`}`,
        capturedAt,
        bytes,
      };
    }),
  );

/**
 * Each attempt writes a directory of its own name: a run that was reset has the capture id of the one that still dumps. What
 * earlier attempts and captures of this site left goes.
 */
async function freshDirectory({ state }: Deps, { site, captureId }: Input, attempt: number): Promise<string> {
  const captures = state.captures(site);
  for (const old of await readdir(captures)) {
    // A frozen attempt that thaws must not clear what a later one writes.
    const later = old.startsWith(`${captureId}-`) && Number.parseInt(old.slice(captureId.length + 1), 10) > attempt;
    if (old.endsWith('.partial') && !later) await discard(captures, old);
    if (old.startsWith(DISCARDED)) await rm(join(captures, old), { recursive: true, force: true });
  }
  const dir = join(captures, `${captureId}-${attempt}-${randomUUID()}.partial`);
  await mkdir(join(dir, DATABASES), { recursive: true, mode: 0o700 });
  return dir;
}

/** By its name first, at once: an attempt that still writes there can no longer commit it, rather than commit what is left of it. */
async function discard(captures: string, name: string): Promise<void> {
  const aside = join(captures, `${DISCARDED}${randomUUID()}`);
  try {
    await rename(join(captures, name), aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return;
  }
  await rm(aside, { recursive: true, force: true });
}

async function dumpDatabases(
  plan: Plan,
  dir: string,
  capturedAt: string,
  fence: Fence | undefined,
  { ctx, holder }: PlannedEnv,
): Promise<Manifest['databases']> {
  // What a change is to be taken back to is read before the change.
  const later = fence !== undefined && holder.workflow !== 'guardedChange';

  const entries: Manifest['databases'] = [];
  for (const spec of plan.databases) {
    const below = `${DATABASES}/${spec.name}`;
    await mkdir(join(dir, below), { recursive: true, mode: 0o700 });
    const dumped = await dumpOne(spec, join(dir, below), fence, later, ctx);
    if (dumped.bytes === 0) throw ctx.fail('DumpEmpty', `the dump of ${spec.name} is empty`);
    const { also, ...rest } = dumped;
    const file = spec.dated ? await dateName(join(dir, below), dumped.file, spec, capturedAt) : dumped.file;
    const path = pathOf(spec);
    entries.push({
      name: spec.name,
      kind: spec.kind,
      format: spec.format,
      ...(path === undefined ? {} : { path }),
      ...rest,
      file: `${below}/${file}`,
      ...(also ? { also: also.map((each) => ({ ...each, file: `${below}/${each.file}` })) } : {}),
    });
  }
  return entries;
}

/** While the application waits, a database is only copied; what the copy holds is read by `seal`. */
async function dumpOne(
  spec: DatabaseSpec,
  dir: string,
  fence: Fence | undefined,
  later: boolean,
  ctx: PlannedEnv['ctx'],
): Promise<Dumped & { unread?: true }> {
  const { dump, halves } = databases[spec.kind];
  if (!later || !halves || spec.format !== 'file') return dump(spec, dir, fence, ctx);
  const copied = await halves.copy(spec, dir, fence, ctx);
  return { ...copied, sha256: '', fingerprint: { tables: {}, schemaSha256: '', userVersion: 0 }, unread: true };
}

/** `seafile.db.sql.20261121T030000Z`: what it is of, how it is written, and when. */
async function dateName(dir: string, file: string, spec: DatabaseSpec, capturedAt: string): Promise<string> {
  const path = pathOf(spec);
  const name = path === undefined || spec.format === 'file' ? file : `${basename(path)}.${spec.format}`;
  const dated = `${name}.${capturedAt.replace(/\.\d+/, '').replaceAll(/[-:]/g, '')}`;
  await rename(join(dir, file), join(dir, dated));
  await syncDirectory(dir);
  return dated;
}

/** The capture exists from this rename on. What lay there belonged to a run that no longer holds the site. */
async function commit(
  dir: string,
  manifest: Manifest,
  { epoch, site }: Input,
  { guard, ctx, deps }: PlannedEnv,
): Promise<void> {
  const { staging } = manifest;
  const old = join(deps.state.captures(site), `old-${randomUUID()}.partial`);
  const move = epoch === undefined ? rename : (from: string, to: string) => guard.commit(epoch, from, to, ctx);
  if (await exists(staging)) await move(staging, old);
  await move(dir, staging);
  await syncDirectory(dirname(staging));
}
