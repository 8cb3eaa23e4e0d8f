import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { z } from 'zod';
import type { RepositorySpec } from '../../src/core/plan.js';
import type { Context } from '../contracts.js';
import { syncDirectory, writeDurable } from '../site/durable.js';
import { assertMounted, exists, onDisk } from './location.js';

const RootMark = z.looseObject({ schema: z.literal(1) });

/** Repositories that are a directory of this host. A mark says that one is: an empty mount point is none. `elsewhere` advises what to do with another location. */
export function markedDirectories(engine: RepositorySpec['engine'], elsewhere: string) {
  const markOf = ({ location }: RepositorySpec): string => join(location, `holdfast-${engine}.json`);

  async function located(repo: RepositorySpec, ctx: Context): Promise<void> {
    if (!isAbsolute(repo.location))
      throw ctx.fail('InvalidConfig', `the location of repository ${repo.name} is no absolute path`, {
        advice: elsewhere,
      });
    await assertMounted(repo, ctx);
  }

  return {
    isMarked: (repo: RepositorySpec): Promise<boolean> => exists(markOf(repo)),

    async open(repo: RepositorySpec, ctx: Context): Promise<void> {
      await located(repo, ctx);
      await onDisk(repo, ctx, async () => {
        if (!(await stat(repo.location)).isDirectory() || !(await exists(markOf(repo))))
          throw ctx.fail('RepositoryMissing', `there is no ${engine} repository for ${repo.name}`);
        const mark = await readFile(markOf(repo), 'utf8');
        if (!RootMark.safeParse(JSON.parse(mark || '{}')).success)
          throw ctx.fail('RepositoryDamaged', `the mark of ${repo.name} is not ours`);
        await readdir(repo.location);
      });
    },

    async init(repo: RepositorySpec, ctx: Context): Promise<void> {
      await located(repo, ctx);
      await onDisk(repo, ctx, async () => {
        await mkdir(repo.location, { recursive: true, mode: 0o700 });
        if (await exists(markOf(repo))) return;
        const made = { schema: 1, made: new Date().toISOString(), by: 'holdfast' };
        await writeDurable(markOf(repo), `${JSON.stringify(made)}\n`);
        await syncDirectory(join(repo.location, '..'));
      });
    },
  };
}
