import { mkdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Snapshot } from '../../src/core/manifest.js';
import { shortId } from '../../src/core/names.js';
import type { RepositorySpec } from '../../src/core/plan.js';
import type { Repaired, RepairInput } from '../api.js';
import { exists } from '../capture/copy.js';
import { fetchStaging } from '../capture/fetch-staging.js';
import { MANIFEST } from '../capture/layout.js';
import { readManifest } from '../capture/seal.js';
import { cacheDir, withWorkDir } from '../capture/workdir.js';
import { checks as appChecks } from '../checks/index.js';
import type { Deps } from '../deps.js';
import { engines } from '../engines/index.js';
import { knownLevels } from '../reports.js';
import { type PlannedEnv, planned } from '../step.js';
import { canRead, findSnapshot, newest } from './repository-of.js';

interface Source {
  repository: RepositorySpec;
  snapshot: Snapshot;
  proven: boolean;
}

/** Finds what the live site lacks or has damaged, and brings that alone back from one snapshot. Nothing bad, no snapshot is looked at. */
export const repair = (deps: Deps) =>
  planned<RepairInput, Repaired>(deps, 'repair', async (input, env) => {
    const { plan, ctx } = env;
    const mend = appChecks[plan.app]?.repair;
    if (!mend)
      throw ctx.fail('InvalidInput', `an application of the kind ${plan.app} is not repaired piece by piece`, {
        advice: 'restore it',
      });
    return withWorkDir(deps.state, async (dir) => {
      let source: Source | undefined;
      let count = 0;
      const ofRemote = await remoteNamed(input.from, dir, env);
      const fetch = async (paths: string[]) => {
        if (ofRemote) return ofRemote(paths);
        source ??= await choose(input.from, env);
        return bring(source, paths, join(dir, String(++count)), env);
      };
      const { repaired, left } = await mend({ plan, fetch }, ctx);
      for (const each of [...repaired.map((name) => `repaired: ${name}`), ...left.map((name) => `left: ${name}`)].slice(
        0,
        40,
      ))
        ctx.note(each);
      const of = ofRemote
        ? `the remote ${input.from}`
        : source && `${source.repository.name} ${shortId(source.snapshot)}`;
      const from = of ? ` from ${of}` : '';
      return {
        said:
          source || repaired.length + left.length > 0
            ? `${repaired.length} repaired${from}, ${left.length} left`
            : 'nothing is missing or damaged',
        repaired: repaired.length,
        left: left.length,
        ...(source ? { snapshot: source.snapshot.id, repository: source.repository.name } : {}),
      };
    });
  });

/** A repository of that name comes before a remote of the application. */
async function remoteNamed(from: string | undefined, dir: string, { plan, ctx }: PlannedEnv) {
  if (from === undefined || plan.repositories.some(({ name }) => name === from)) return undefined;
  return appChecks[plan.app]?.fromRemote?.({ plan, name: from, dir }, ctx);
}

/** The newest proven snapshot, else the newest verified one; of one repository, or one by its id, where the input names it. */
async function choose(from: string | undefined, env: PlannedEnv): Promise<Source> {
  const { plan, ctx, deps } = env;
  const named = plan.repositories.find(({ name }) => name === from);
  const id = named ? undefined : from;
  const found: Source[] = [];
  const failures: unknown[] = [];
  for (const repository of named ? [named] : plan.repositories.filter(canRead)) {
    try {
      if (id !== undefined) {
        const snapshot = await findSnapshot(repository, id, env);
        if (snapshot) return { repository, snapshot, proven: false };
        continue;
      }
      const { proven, verified } = await knownLevels(deps.state, plan.site, repository.name);
      const all = (await engines[repository.engine].list(repository, plan.siteId, ctx)).filter(
        ({ kind, complete }) => kind === 'regular' && complete,
      );
      const best = newest(all.filter((each) => proven.has(each.id)));
      const next = best ?? newest(all.filter((each) => verified.has(each.id)));
      if (next) found.push({ repository, snapshot: next, proven: best !== undefined });
    } catch (error) {
      ctx.signal.throwIfAborted();
      failures.push(error);
    }
  }
  const proven = found.filter((each) => each.proven);
  const best = newest((proven.length > 0 ? proven : found).map(({ snapshot }) => snapshot));
  const source = found.find(({ snapshot }) => snapshot === best);
  if (source) return source;
  const what =
    id === undefined ? 'no repository has a proven or verified snapshot' : `no repository has snapshot ${id}`;
  throw failures[0] ?? ctx.fail('SnapshotMissing', `${what} of ${plan.site}`);
}

/** The site may have had another root when the snapshot was taken. */
async function bring(
  { repository, snapshot }: Source,
  paths: string[],
  dir: string,
  env: PlannedEnv,
): Promise<Map<string, string>> {
  const { plan, ctx, deps } = env;
  const engine = engines[repository.engine];
  const staging = await fetchStaging(repository, snapshot, [MANIFEST], join(dir, 'manifest'), env);
  const { root } = await readManifest(join(staging, MANIFEST));
  const wanted = new Map(paths.map((path) => [inOld(path, plan.root, root), path]));
  const held: string[] = [];
  for await (const { path } of engine.contents(repository, snapshot.id, ctx)) if (wanted.has(path)) held.push(path);
  const target = join(dir, 'files');
  await mkdir(target, { recursive: true, mode: 0o700 });
  const workDir = await cacheDir(deps.state, repository.name);
  if (held.length > 0) await engine.restore(repository, snapshot.id, target, { paths: held, workDir }, ctx);
  const got = new Map<string, string>();
  for (const path of held) if (await exists(join(target, path))) got.set(wanted.get(path) ?? path, join(target, path));
  return got;
}

function inOld(path: string, now: string, then: string): string {
  const inside = relative(now, path);
  return inside.startsWith('..') ? path : join(then, inside);
}
