import { createHash } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { formatBytes } from '../../src/core/durations.js';
import { consistencyOf } from '../../src/core/manifest.js';
import type { RepositorySpec } from '../../src/core/plan.js';
import type { BackupRequest, Context, RunResult, Stored } from '../contracts.js';
import { syncDirectory, writeDurable } from '../site/durable.js';
import { encrypt } from '../tools/age.js';
import { findProgram } from '../tools/programs.js';
import { type Compression, judgeLine, packArgs } from '../tools/tar.js';
import { archiveId, clearLeftovers, type Mark, markPath, removeArchive, SAFE } from './archive-mark.js';
import { HOLES_LIE, Source } from './archive-source.js';
import { IDLE_MS } from './lines.js';
import { onDisk } from './location.js';
import { mustHaveWritten } from './tar-steps.js';
import { assertSources, sourcesOf } from './walk.js';

/** Above this a person should know that every run stores everything again. */
const LARGE = 20e9;

/** Stores a capture as one file: `.partial`, fsync, rename, and the mark last. */
export async function backup(repo: RepositorySpec, request: BackupRequest, ctx: Context): Promise<Stored> {
  await assertSources(request, ctx);
  const { manifest, runId, kind } = request;
  const { siteId, captureId, capturedAt } = manifest;
  const id = archiveId(capturedAt, captureId);
  if (!SAFE.test(siteId) || !SAFE.test(id))
    throw ctx.fail('InvalidConfig', `the site id ${siteId} cannot name a directory`, {
      advice: 'use letters, digits, . _ -',
    });
  const dir = join(repo.location, siteId);
  const compression: Compression = findProgram('zstd') ? 'zstd' : 'gzip';
  const encrypted = repo.recipients.length > 0;
  const file = `${id}.tar.${compression === 'zstd' ? 'zst' : 'gz'}${encrypted ? '.age' : ''}`;

  return onDisk(repo, ctx, async () => {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await clearLeftovers(dir, id);
    const partial = join(dir, `${file}.partial`);
    try {
      const roots = await sourcesOf(request, ctx);
      let source = new Source(roots, request.exclude, true);
      const attempt = () => pack(repo, compression, source, partial, request.live ?? [], ctx);
      const written = await attempt().catch((error) => {
        if (error !== HOLES_LIE) throw error;
        source = new Source(roots, request.exclude, false);
        return attempt();
      });
      // The same capture again takes the place of the old one, whose mark must not speak of the new file.
      await removeArchive(dir, id, [basename(partial)]);
      await rename(partial, join(dir, file));
      await syncDirectory(dir);
      const consistency = consistencyOf(manifest.databases);
      const snapshot = {
        ...{ id, captureId, runId, siteId, kind, capturedAt },
        ...{ storedAt: new Date().toISOString(), complete: true, bytes: source.bytes },
        ...(consistency ? { consistency } : {}),
      };
      const mark: Mark = {
        ...{ schema: 1, complete: true, file, ...written, compression, encrypted },
        ...{ sourceBytes: source.bytes, sourceFiles: source.files, host: manifest.host, site: manifest.site, snapshot },
      };
      await writeDurable(markPath(dir, id), `${JSON.stringify(mark, null, 2)}\n`);
      if (source.bytes > LARGE)
        ctx.note(
          `${formatBytes(source.bytes)} are stored in full each time in ${repo.name}; restic stores changes only`,
        );
      return {
        snapshot: { ...snapshot, repository: repo.name },
        ...{ bytes: source.bytes, addedBytes: written.bytes, files: source.files },
      };
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    }
  });
}

/** tar → (age) → disk, hashed on the way. */
async function pack(
  repo: RepositorySpec,
  compression: Compression,
  source: Source,
  partial: string,
  live: readonly string[],
  ctx: Context,
): Promise<{ sha256: string; bytes: number }> {
  const hash = createHash('sha256');
  const disk = await open(partial, 'w', 0o600);
  let bytes = 0;
  let writeError: unknown;
  const write = async (stdout: Readable): Promise<void> => {
    try {
      for await (const chunk of await sealed(repo, stdout, ctx)) {
        hash.update(chunk);
        await disk.appendFile(chunk);
        bytes += chunk.length;
        ctx.beat({ bytes });
      }
    } catch (error) {
      writeError = error;
      throw error;
    }
  };
  let writing: Promise<void> | undefined;
  const passed = { gone: 0, others: 0 };
  try {
    const result = await ctx
      .run('tar', packArgs(compression, source.sparse), {
        ...{ input: Readable.from(source.list()), ok: [0, 1, 2], idleMs: IDLE_MS },
        onErrorLine: (line) => {
          const what = judgeLine(line, live);
          if (what) passed[what]++;
        },
        // Kept, because a slow disk may still be written to when tar has long ended.
        onStdout: (stdout) => (writing = write(stdout)),
      })
      .catch((error) => {
        throw source.error ?? writeError ?? error;
      });
    await writing;
    if (source.error) throw source.error;
    // Verifying sees that nothing else is missing.
    if (result.exitCode === 2 && passed.gone > 0 && passed.others === 0)
      ctx.note(`${passed.gone} files went while they were stored in ${repo.name}`);
    else judge(repo, result, ctx);
    await disk.sync();
    return { sha256: hash.digest('hex'), bytes };
  } finally {
    await writing?.catch(() => {});
    await disk.close();
  }
}

async function sealed(repo: RepositorySpec, plain: Readable, ctx: Context): Promise<AsyncIterable<Buffer>> {
  if (repo.recipients.length === 0) return plain;
  return encrypt(plain, repo.recipients).catch((cause) => {
    throw ctx.fail('InvalidConfig', `a recipient of repository ${repo.name} is no age public key`, { cause });
  });
}

function judge(repo: RepositorySpec, result: RunResult, ctx: Context): void {
  // Exit code 1: members are there, but changed while they were read; the comparison with the manifest judges them.
  if (result.exitCode === 1)
    ctx.note(`files changed while they were stored in ${repo.name}: ${places(result.stderrTail)}`);
  mustHaveWritten(repo, result, ctx);
}

function places(stderr: string): string {
  const named = [...stderr.matchAll(/^tar: (.+): (?:file changed|File removed|File shrank)/gim)].map(
    ([, path]) => path,
  );
  return named.slice(0, 3).join(', ') || 'see the log';
}
