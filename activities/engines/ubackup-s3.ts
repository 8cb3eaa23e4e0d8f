import { mkdir, rm } from 'node:fs/promises';
import { z } from 'zod';
import type { RepositorySpec } from '../../src/core/plan.js';
import { freshName } from '../capture/workdir.js';
import type { Context, RunOptions, RunResult } from '../contracts.js';
import { classify, parseS3, RCLONE_CODES, REMOTE, remoteEnv } from '../tools/rclone.js';
import { IDLE_MS, pulsing } from './lines.js';
import { type Store, writeHashed } from './ubackup-store.js';

const Listed = z.array(z.object({ Path: z.string(), Size: z.int(), ModTime: z.string() }));

/** A bucket, through rclone. */
export function s3Store(repo: RepositorySpec): Store {
  const call = async (args: string[], ctx: Context, more: RunOptions = {}): Promise<RunResult> => {
    const place = parseS3(repo.location);
    if (!place)
      throw ctx.fail(
        'InvalidConfig',
        `the location of repository ${repo.name} is neither a directory nor s3:https://…`,
        {
          advice: 'write s3:https://<endpoint>/<bucket>',
        },
      );
    const secretEnv: Record<string, string> = {};
    for (const [name, ref] of Object.entries(repo.credentials)) secretEnv[name] = await ctx.secret(ref);
    const limits = [
      ...(repo.uploadLimit === undefined ? [] : [`--bwlimit=${repo.uploadLimit}B:off`]),
      ...(repo.downloadLimit === undefined ? [] : [`--bwlimit=off:${repo.downloadLimit}B`]),
    ];
    return ctx.run('rclone', [...args, ...limits], {
      ...{ env: remoteEnv(place), secretEnv, ok: RCLONE_CODES, idleMs: IDLE_MS },
      ...more,
    });
  };
  const at = (name: string) => `${REMOTE}:${parseS3(repo.location)?.path ?? ''}/${name}`.replace(/\/$/, '');
  const failed = (verb: string, { exitCode, stderrTail }: RunResult, ctx: Context): Error => {
    const type = classify({ exitCode, stderrTail }) ?? 'ToolFailed';
    const words: Partial<Record<typeof type, string>> = {
      RepositoryMissing: `there is no bucket or object for repository ${repo.name}`,
      RepositoryDenied: `repository ${repo.name} refuses access`,
      RepositoryUnreachable: `repository ${repo.name} does not answer`,
      DiskFull: `repository ${repo.name} is full`,
    };
    return ctx.fail(
      type,
      words[type] ?? `rclone ${verb} ended with exit code ${exitCode} for repository ${repo.name}`,
      {
        details: { tool: 'rclone', exitCode, stderrTail },
      },
    );
  };
  const done = async (args: string[], ctx: Context, more: RunOptions = {}): Promise<string> => {
    const result = await pulsing(ctx, () => call(args, ctx, more));
    if (result.exitCode !== 0) throw failed(args[0] ?? '', result, ctx);
    return result.stdout;
  };

  return {
    async list(ctx) {
      const text = await done(['lsjson', '--recursive', '--files-only', '--no-mimetype', at('')], ctx);
      const parsed = Listed.safeParse(JSON.parse(text || '[]'));
      if (!parsed.success) throw ctx.fail('ToolFailed', `rclone's list of ${repo.name} is not what it should be`);
      return parsed.data.map(({ Path, Size, ModTime }) => ({
        name: Path,
        bytes: Size,
        mtimeMs: Date.parse(ModTime),
      }));
    },

    // Each mark is one line: one call reads them all.
    async texts(prefix, ctx) {
      const texts: string[] = [];
      await done(['cat', '--include', '*.json', at(prefix)], ctx, { onLine: (line) => void texts.push(line) });
      return texts;
    },

    async put(name, content, workDir, ctx) {
      await mkdir(workDir, { recursive: true, mode: 0o700 });
      // Sealed before it gets here; a file can be sent again, a stream not.
      const sealed = freshName(workDir);
      try {
        const written = await writeHashed(sealed, content, ctx);
        await done(['copyto', '--ignore-times', sealed, at(name)], ctx);
        return written;
      } finally {
        await rm(sealed, { force: true });
      }
    },

    async read(name, use, ctx) {
      let result: { value: Awaited<ReturnType<typeof use>> } | undefined;
      let failure: unknown;
      const options: RunOptions = {
        onStdout: async (stdout) => {
          try {
            result = { value: await use(stdout) };
          } catch (error) {
            failure = error;
            // The rest is of no use, but rclone must be able to end.
            stdout.resume();
          }
        },
      };
      const ended = await call(['cat', at(name)], ctx, options);
      if (ended.exitCode !== 0) throw failed('cat', ended, ctx);
      if (!result) throw failure;
      return result.value;
    },

    async remove(names, ctx) {
      for (const name of names) {
        const result = await call(['deletefile', at(name)], ctx);
        if (result.exitCode !== 0 && classify(result) !== 'RepositoryMissing') throw failed('deletefile', result, ctx);
      }
    },

    async make(ctx) {
      const place = parseS3(repo.location);
      const bucket = `${REMOTE}:${place?.path.split('/')[0] ?? ''}`;
      // One that is there already is no failure; one that this key may not make shows at the first object.
      await call(['mkdir', bucket], ctx, place ? { env: remoteEnv(place, { makeBucket: true }) } : {});
    },
  };
}
