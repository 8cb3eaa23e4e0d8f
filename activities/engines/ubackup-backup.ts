import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { literal } from '../../src/apps/coverage.js';
import type { RepositorySpec } from '../../src/core/plan.js';
import type { BackupRequest, Context, RunResult, Stored } from '../contracts.js';
import { packArgs } from '../tools/tar.js';
import { isPublicKey, objectName, seal } from '../tools/ubackup.js';
import { archiveId } from './archive-mark.js';
import { HOLES_LIE, Source } from './archive-source.js';
import { IDLE_MS } from './lines.js';
import { mustHaveWritten } from './tar-steps.js';
import { type Mark, markName, marksOf, restName, SAFE, type Sealed } from './ubackup-mark.js';
import type { Store } from './ubackup-store.js';
import { storeOf } from './ubackup-stores.js';
import { assertSources, sourcesOf } from './walk.js';

/** No store takes longer, and its first object waits for the last: what lies longer without a mark is a dead one's. */
const ABANDONED_MS = 26 * 3600_000;

/** Stores a capture: its one dump as µbackup has it, everything else beside it, and the mark last. */
export async function backup(repo: RepositorySpec, request: BackupRequest, ctx: Context): Promise<Stored> {
  await assertSources(request, ctx);
  const { manifest, runId, kind } = request;
  const { siteId, captureId, capturedAt, host, site, staging } = manifest;
  const [dump, ...others] = manifest.databases;
  if (!dump || others.length > 0)
    throw ctx.fail(
      'InvalidConfig',
      `repository ${repo.name} takes captures with one dump; this has ${manifest.databases.length}`,
      {
        advice: 'give the site a repository of another engine',
      },
    );
  const id = archiveId(capturedAt, captureId);
  for (const text of [siteId, id])
    if (!SAFE.test(text))
      throw ctx.fail('InvalidConfig', `${text} cannot name an object`, { advice: 'use letters, digits, . _ -' });
  const store = storeOf(repo);
  await clear(repo, store, captureId, id, ctx);
  const publicKey = keyOf(repo, ctx);
  const path = join(staging, dump.file);
  const { size, mode, mtimeMs, uid, gid } = await stat(path);
  const put = async (name: string, plain: Readable): Promise<Sealed> => ({
    name,
    ...(await store.put(name, seal(plain, publicKey), request.workDir, ctx)),
  });
  const roots = (await sourcesOf(request, ctx)).filter((root) => root !== path);
  const { rest, source } = await packRest(repo, roots, [...request.exclude, literal(path)], ctx, (plain) =>
    put(restName(siteId, id), plain),
  );
  const object = await put(objectName(dump.name, capturedAt, host, captureId), createReadStream(path));
  if (source.error) throw source.error;
  const sums = { sourceBytes: source.bytes + size, sourceFiles: source.files + 1 };
  const snapshot = {
    ...{ id, captureId, runId, siteId, kind, capturedAt, storedAt: new Date().toISOString(), complete: true },
    ...{ bytes: sums.sourceBytes, ...(dump.consistency ? { consistency: dump.consistency } : {}) },
  };
  const mark: Mark = {
    ...{ schema: 1, complete: true, object, rest, ...sums, host, site, snapshot },
    file: { path, bytes: size, mode: mode & 0o7777, mtimeMs, uid, gid },
  };
  await store.put(
    markName(siteId, id),
    Readable.from([Buffer.from(`${JSON.stringify(mark)}\n`)]),
    request.workDir,
    ctx,
  );
  return {
    snapshot: { ...snapshot, repository: repo.name },
    ...{ bytes: sums.sourceBytes, addedBytes: object.bytes + rest.bytes, files: sums.sourceFiles },
  };
}

/** The public key to write with. Throws InvalidConfig. */
export function keyOf({ recipients, name }: RepositorySpec, ctx: Context): string {
  const [key, ...more] = recipients;
  if (key !== undefined && more.length === 0 && isPublicKey(key)) return key;
  throw ctx.fail('InvalidConfig', `repository ${name} needs one RSA public key as recipient`, {
    advice: 'its text begins with -----BEGIN RSA PUBLIC KEY-----',
  });
}

/** What a killed attempt left: objects of this capture, and of others of ours that have lain without a mark for more than a day. µbackup's own stay. */
async function clear(repo: RepositorySpec, store: Store, captureId: string, id: string, ctx: Context): Promise<void> {
  const marks = await marksOf(repo, store, undefined, ctx);
  const mine = marks.filter(({ mark }) => mark.snapshot.id === id).map(({ mark }) => mark);
  await store.remove(
    mine.map(({ snapshot }) => markName(snapshot.siteId, snapshot.id)),
    ctx,
  );
  const marked = new Set(marks.flatMap(({ mark }) => (mine.includes(mark) ? [] : [mark.object.name, mark.rest.name])));
  const leftovers = (await store.list(ctx)).filter(({ name, mtimeMs }) => {
    const ours = /[-_][0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.(?:tar\.)?gz\.aes$/.test(name);
    return ours && !marked.has(name) && (name.includes(captureId) || Date.now() - mtimeMs > ABANDONED_MS);
  });
  await store.remove(
    leftovers.map(({ name }) => name),
    ctx,
  );
}

/** tar → gzip and encryption → the store. */
async function packRest(
  repo: RepositorySpec,
  roots: string[],
  exclude: string[],
  ctx: Context,
  put: (plain: Readable) => Promise<Sealed>,
): Promise<{ rest: Sealed; source: Source }> {
  const attempt = async (source: Source): Promise<{ rest: Sealed; source: Source }> => {
    const plain = new PassThrough();
    const storing = put(plain);
    storing.catch((error) => plain.destroy(error));
    try {
      const result = await ctx.run('tar', packArgs('none', source.sparse), {
        ...{ input: Readable.from(source.list()), ok: [0, 1, 2], idleMs: IDLE_MS },
        // Ended only once tar is judged: what follows a failure must not look whole.
        onStdout: (stdout) => pipeline(stdout, plain, { end: false }),
      });
      if (source.error) throw source.error;
      judge(repo, result, ctx);
    } catch (error) {
      plain.destroy(error as Error);
      const stored = await storing.catch((each) => each);
      throw source.error ?? (stored instanceof Error && stored !== error ? stored : error);
    }
    plain.end();
    return { rest: await storing, source };
  };
  return attempt(new Source(roots, exclude, true)).catch((error) => {
    if (error !== HOLES_LIE) throw error;
    return attempt(new Source(roots, exclude, false));
  });
}

function judge(repo: RepositorySpec, result: RunResult, ctx: Context): void {
  if (result.exitCode === 1) ctx.note(`files changed while they were stored in ${repo.name}`);
  mustHaveWritten(repo, result, ctx);
}
