import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import type { RepositorySpec } from '../../src/core/plan.js';
import type { Context } from '../contracts.js';
import { syncDirectory } from '../site/durable.js';
import { assertMounted, codeOf, onDisk } from './location.js';
import { type Store, type StoredObject, writeHashed } from './ubackup-store.js';

/** What a live attempt writes is touched all the time; what nobody touched for an hour is a dead one's. */
const ABANDONED_MS = 3600_000;
const PARTIAL = '.partial';

/** A directory, local or mounted. */
export function directoryStore(repo: RepositorySpec): Store {
  const root = repo.location;
  const at = <T>(ctx: Context, work: () => Promise<T>) => onDisk(repo, ctx, work);
  return {
    async list(ctx) {
      await assertMounted(repo, ctx);
      return at(ctx, async () => {
        const found: StoredObject[] = [];
        for (const entry of await readdir(root, { withFileTypes: true, recursive: true })) {
          const path = join(entry.parentPath, entry.name);
          const name = relative(root, path);
          if (!entry.isFile() || name.startsWith(`${PARTIAL}/`)) continue;
          const stats = await unlessGone(stat(path));
          if (stats) found.push({ name, bytes: stats.size, mtimeMs: stats.mtimeMs });
        }
        return found;
      });
    },

    texts: (prefix, ctx) =>
      at(ctx, async () => {
        const texts: string[] = [];
        for (const entry of await readdir(join(root, prefix), { withFileTypes: true, recursive: true }))
          if (entry.isFile() && entry.name.endsWith('.json'))
            texts.push((await unlessGone(readFile(join(entry.parentPath, entry.name), 'utf8'))) ?? '');
        return texts;
      }),

    async put(name, content, _workDir, ctx) {
      await assertMounted(repo, ctx);
      return at(ctx, async () => {
        const target = join(root, name);
        const partials = join(root, PARTIAL);
        await mkdir(dirname(target), { recursive: true, mode: 0o700 });
        await mkdir(partials, { recursive: true, mode: 0o700 });
        await clearAbandoned(partials);
        const partial = join(partials, `${randomUUID()}-${basename(name)}`);
        try {
          const written = await writeHashed(partial, content, ctx);
          await rename(partial, target);
          await syncDirectory(dirname(target));
          return written;
        } catch (error) {
          await rm(partial, { force: true });
          throw error;
        }
      });
    },

    read: (name, use, ctx) =>
      at(ctx, async () => {
        const content = createReadStream(join(root, name), { highWaterMark: 1 << 18 });
        try {
          return await use(content);
        } finally {
          content.destroy();
        }
      }),

    remove: (names, ctx) =>
      at(ctx, async () => {
        for (const name of names) {
          await rm(join(root, name), { force: true });
          await syncDirectory(dirname(join(root, name))).catch(() => {});
        }
      }),

    async make(ctx) {
      await assertMounted(repo, ctx);
      await at(ctx, () => mkdir(root, { recursive: true, mode: 0o700 }));
    },
  };
}

/** What another run removes meanwhile is no failure of the disk. */
function unlessGone<T>(work: Promise<T>): Promise<T | undefined> {
  return work.catch((error) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
}

async function clearAbandoned(partials: string): Promise<void> {
  for (const name of await readdir(partials)) {
    const path = join(partials, name);
    const stats = await stat(path).catch(() => undefined);
    if (stats && Date.now() - stats.mtimeMs > ABANDONED_MS) await rm(path, { force: true });
  }
}
