import { createHash } from 'node:crypto';
import { chmod, chown, mkdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { isWithin } from '../../src/apps/coverage.js';
import type { RepositorySpec } from '../../src/core/plan.js';
import type { Context, ListedFile } from '../contracts.js';
import { listArgs, parseMember } from '../tools/tar.js';
import { unseal, WrongKey } from '../tools/ubackup.js';
import { IDLE_MS } from './lines.js';
import { extract, withMembers } from './tar-steps.js';
import type { Mark, Sealed } from './ubackup-mark.js';
import { type Store, writeHashed } from './ubackup-store.js';

export function damaged(repo: RepositorySpec, id: string, ctx: Context): Error {
  return ctx.fail('RepositoryDamaged', `an object in ${repo.name} is damaged`, { details: { places: [id] } });
}

/** Hashes an object as it lies. Throws RepositoryDamaged where it is not the one that was written. */
export async function assertSame(repo: RepositorySpec, store: Store, object: Sealed, ctx: Context): Promise<void> {
  const found = await store.read(object.name, (content) => drained(content, ctx), ctx);
  if (found !== object.sha256) throw damaged(repo, object.name, ctx);
}

async function drained(content: Readable, ctx: Context): Promise<string> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of content as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
    ctx.beat({ bytes });
  }
  return hash.digest('hex');
}

async function identityOf(repo: RepositorySpec, ctx: Context): Promise<string> {
  if (repo.identity) return ctx.secret(repo.identity);
  throw ctx.fail('KeyMissing', `repository ${repo.name} is encrypted and this host has no identity for it`);
}

/** Opens an object and gives its content to `use`; what it gives back counts only if the object was the one that was written. */
async function opened<T>(
  repo: RepositorySpec,
  store: Store,
  object: Sealed,
  use: (plain: Readable) => Promise<T>,
  ctx: Context,
): Promise<T> {
  const identity = await identityOf(repo, ctx);
  const hash = createHash('sha256');
  let bytes = 0;
  const watch = new Transform({
    transform(chunk: Buffer, _, done) {
      hash.update(chunk);
      bytes += chunk.length;
      ctx.beat({ bytes, totalBytes: object.bytes });
      done(null, chunk);
    },
  });
  let wrong = false;
  const work = async (content: Readable): Promise<T> => {
    content.on('error', (error) => watch.destroy(error));
    const plain = unseal(content.pipe(watch), identity);
    plain.on('error', (error) => {
      wrong ||= error instanceof WrongKey;
    });
    return use(plain);
  };
  try {
    const value = await store.read(object.name, work, ctx);
    if (bytes === object.bytes && hash.digest('hex') === object.sha256) return value;
  } catch (error) {
    ctx.signal.throwIfAborted();
    if (wrong) throw ctx.fail('KeyMissing', `the identity of repository ${repo.name} does not read its objects`);
    // Its bytes tell whether they or the work on them failed.
    await assertSame(repo, store, object, ctx);
    throw error;
  }
  await assertSame(repo, store, object, ctx);
  throw damaged(repo, object.name, ctx);
}

/** What the snapshot holds: the listing of the rest, and the dump. */
export async function* contents(
  repo: RepositorySpec,
  store: Store,
  mark: Mark,
  ctx: Context,
): AsyncGenerator<ListedFile> {
  const members: string[] = [];
  const options = { ok: [0, 2], idleMs: IDLE_MS, onLine: (line: string) => void members.push(line) };
  // A capture of this engine is small: an export, and the files beside it.
  await opened(
    repo,
    store,
    mark.rest,
    async (plain) => {
      const { exitCode } = await ctx.run('tar', listArgs('none'), { ...options, input: plain });
      if (exitCode !== 0) throw damaged(repo, mark.rest.name, ctx);
    },
    ctx,
  );
  const sizes = new Map<string, number>();
  for (const line of members) {
    const member = parseMember(line);
    if (!member) throw ctx.fail('ToolFailed', `tar listed a member of repository ${repo.name} in words unknown to us`);
    const { path, type, size, mtimeMs, target = '' } = member;
    if (type === 'f') sizes.set(path, size);
    // A further name of a file comes after it.
    yield type === 'h' ? { path, type: 'f', size: sizes.get(target) ?? 0, mtimeMs } : { path, type, size, mtimeMs };
  }
  const { path, bytes, mtimeMs } = mark.file;
  yield { path, type: 'f', size: bytes, mtimeMs };
}

export async function unpack(
  repo: RepositorySpec,
  store: Store,
  mark: Mark,
  target: string,
  members: { paths?: string[]; workDir: string },
  ctx: Context,
): Promise<void> {
  const { paths } = members;
  await withMembers(members, (list) =>
    opened(
      repo,
      store,
      mark.rest,
      async (plain) => (await extract(plain, 'none', target, list, `an object in ${repo.name}`, ctx))(),
      ctx,
    ),
  );
  if (!paths || paths.some((path) => isWithin(mark.file.path, path))) await restoreDump(repo, store, mark, target, ctx);
}

async function restoreDump(
  repo: RepositorySpec,
  store: Store,
  mark: Mark,
  target: string,
  ctx: Context,
): Promise<void> {
  const { path, mode, mtimeMs, uid, gid } = mark.file;
  const place = join(target, path);
  const parent = dirname(place);
  await mkdir(parent, { recursive: true });
  // A Date has milliseconds alone.
  const { atimeNs, mtimeNs } = await stat(parent, { bigint: true });
  // Damage is known only at its end: until then it has another name.
  const partial = `${place}.partial`;
  await rm(partial, { force: true });
  try {
    await opened(repo, store, mark.object, (plain) => writeHashed(partial, plain, ctx), ctx);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  if (process.getuid?.() === 0) await chown(partial, uid, gid);
  await chmod(partial, mode);
  await utimes(partial, mtimeMs / 1000, mtimeMs / 1000);
  await rename(partial, place);
  await utimes(parent, Number(atimeNs) / 1e9, Number(mtimeNs) / 1e9);
}
