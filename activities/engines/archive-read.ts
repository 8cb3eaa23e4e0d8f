import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type Readable, Transform } from 'node:stream';
import type { RepositorySpec } from '../../src/core/plan.js';
import type { Context, ListedFile } from '../contracts.js';
import { decrypt, identityKeys } from '../tools/age.js';
import { listArgs, type Member, parseMember } from '../tools/tar.js';
import { type Archive, sha256Of } from './archive-mark.js';
import { IDLE_MS, lines } from './lines.js';
import { extract, withMembers } from './tar-steps.js';

/** An archive's bytes as tar takes them, and afterwards what became of the hash. */
interface Opened {
  plain: Readable;
  /** Throws where the stored bytes are not those that were written. */
  verify(): Promise<void>;
}

async function openArchive(repo: RepositorySpec, { mark, path }: Archive, ctx: Context): Promise<Opened> {
  const hash = createHash('sha256');
  let bytes = 0;
  const hashed = new Transform({
    transform(chunk: Buffer, _, done) {
      hash.update(chunk);
      bytes += chunk.length;
      ctx.beat({ bytes, totalBytes: mark.bytes });
      done(null, chunk);
    },
  });
  const file = createReadStream(path, { highWaterMark: 1 << 18 });
  file.on('error', (error) => hashed.destroy(error));
  file.pipe(hashed);
  const verify = async (): Promise<void> => {
    // tar may leave what follows its own end unread.
    const found = bytes === mark.bytes ? hash.digest('hex') : await sha256Of(path, ctx);
    if (found !== mark.sha256) throw damaged(repo, mark.snapshot.id, ctx);
  };
  return { plain: mark.encrypted ? await unsealed(repo, hashed, ctx) : hashed, verify };
}

export function damaged(repo: RepositorySpec, id: string, ctx: Context): Error {
  return ctx.fail('RepositoryDamaged', `an archive in ${repo.name} is damaged`, {
    details: { places: [id] },
  });
}

async function unsealed(repo: RepositorySpec, cipher: Readable, ctx: Context): Promise<Readable> {
  const identity = repo.identity && (await ctx.secret(repo.identity));
  if (identity === undefined || identityKeys(identity).length === 0)
    throw ctx.fail('KeyMissing', `repository ${repo.name} is encrypted and this host has no identity for it`);
  return decrypt(cipher, identity).catch((cause) => {
    throw ctx.fail('KeyMissing', `the identity of repository ${repo.name} does not read its archives`, { cause });
  });
}

/** Every member, read from the archive itself. Further names of a file come last, with its size: a second reading finds it. */
export async function* contents(repo: RepositorySpec, archive: Archive, ctx: Context): AsyncGenerator<ListedFile> {
  const links: Member[] = [];
  for await (const member of members(repo, archive, ctx)) {
    if (member.type === 'h') links.push(member);
    else yield { path: member.path, type: member.type, size: member.size, mtimeMs: member.mtimeMs };
  }
  if (links.length === 0) return;
  const sizes = new Map<string, number>(links.map(({ target = '' }) => [target, 0]));
  for await (const { path, size, type } of members(repo, archive, ctx))
    if (type !== 'h' && sizes.has(path)) sizes.set(path, size);
  for (const { path, mtimeMs, target = '' } of links) yield { path, type: 'f', size: sizes.get(target) ?? 0, mtimeMs };
}

async function* members(repo: RepositorySpec, archive: Archive, ctx: Context): AsyncGenerator<Member> {
  const opened = await openArchive(repo, archive, ctx);
  const options = { input: opened.plain, ok: [0, 2], idleMs: IDLE_MS };
  const id = archive.mark.snapshot.id;
  for await (const line of lines(ctx, 'tar', listArgs(archive.mark.compression), options, async ({ exitCode }) => {
    if (exitCode !== 0) throw damaged(repo, id, ctx);
    await opened.verify();
  })) {
    const member = parseMember(line);
    if (!member) throw ctx.fail('ToolFailed', `tar listed a member of repository ${repo.name} in words unknown to us`);
    yield member;
  }
}

/** Unpacks below `target`, and fails where the stored bytes were not those that were written. */
export async function unpack(
  repo: RepositorySpec,
  archive: Archive,
  target: string,
  members: { paths?: string[]; workDir: string },
  ctx: Context,
): Promise<void> {
  await withMembers(members, async (list) => {
    const opened = await openArchive(repo, archive, ctx);
    const judge = await extract(
      opened.plain,
      archive.mark.compression,
      target,
      list,
      `an archive in ${repo.name}`,
      ctx,
    );
    await opened.verify();
    judge();
  });
}
