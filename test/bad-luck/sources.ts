import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, chmodSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { atRest, type BadLuck, fails, judge } from './case.js';
import type { World } from './world.js';

/** With a file or directory out of the way while `use` runs. */
async function without<T>(path: string, use: () => Promise<T>): Promise<T> {
  const away = path.replace(/site\//, 'away-').replaceAll(/(?<=away-.*)\//g, '-');
  renameSync(path, away);
  try {
    return await use();
  } finally {
    rmSync(path, { recursive: true, force: true });
    renameSync(away, path);
  }
}

/** The largest one. */
const medium = (world: World): string => {
  const script = `find "$1" -type f -printf '%s %p\\n' | sort -n | tail -1 | cut -d ' ' -f 2-`;
  return execFileSync('sh', ['-c', script, 'sh', world.site.media], { encoding: 'utf8' }).trim();
};

export const sources: BadLuck[] = [
  {
    line: 'source missing',
    happens: async (world) => {
      const pid = world.site.pid();
      await without(world.site.media, () =>
        fails(world, 'SourceMissing', /file set media is not there: /, { step: 'prepare' }),
      );
      assert.equal(world.site.pid(), pid, 'it was never stopped');
    },
  },
  {
    line: 'zero files',
    happens: async (world) => {
      const pid = world.site.pid();
      await without(world.site.media, async () => {
        mkdirSync(world.site.media);
        await fails(world, 'SourceEmpty', /has no file; set `mayBeEmpty: true` if that is right/, { step: 'prepare' });
      });
      assert.equal(world.site.pid(), pid, 'it was never stopped');
    },
  },
  {
    line: 'file unreadable',
    happens: async (world) => {
      const file = medium(world);
      const tar = execFileSync('sh', ['-c', 'command -v tar'], { encoding: 'utf8' }).trim();
      const bin = join(world.dir, 'bin');
      mkdirSync(bin, { recursive: true });
      // The tool as a user that may not read everything: root may.
      const drop = '-dac_override,-dac_read_search';
      writeFileSync(
        join(bin, 'tar'),
        `#!/bin/sh\nexec setpriv --bounding-set ${drop} --inh-caps ${drop} ${tar} "$@"\n`,
      );
      chmodSync(join(bin, 'tar'), 0o755);
      const { mode } = statSync(file);
      const path = process.env.PATH;
      chmodSync(file, 0);
      process.env.PATH = `${bin}:${path}`;
      try {
        await fails(world, 'SnapshotIncomplete', /could not be read|cannot be read|could not read/, { step: 'store' });
      } finally {
        process.env.PATH = path;
        chmodSync(file, mode);
      }
    },
  },
  {
    line: 'file growing',
    happens: async (world) => {
      const file = medium(world);
      const before = statSync(file).size;
      const report = await world.run(
        'backup',
        {},
        {
          store: async (input) => {
            const grows = setInterval(() => appendFileSync(file, Buffer.alloc(1000, 1)), 1);
            return world.steps.store(input).finally(() => clearInterval(grows));
          },
        },
      );
      // Kept out of what counts as a backup: it is stored, and never verified.
      assert.equal(report.repositories[0]?.level, 'stored');
      judge(
        report.failures[0]!,
        'FilesVanished',
        /has another state of a file that its database refers to; hold deletions/,
      );
      execFileSync('truncate', ['-s', String(before), file]);
      await atRest(world);
    },
  },
  {
    line: 'file vanishing',
    happens: async (world) => {
      const file = medium(world);
      await fails(world, 'FilesVanished', /; hold deletions back during a backup, or make the file set mutable$/, {
        step: 'store',
        own: {
          store: async (input) => {
            renameSync(file, join(world.disks.www, 'vanished'));
            return world.steps.store(input).finally(() => renameSync(join(world.disks.www, 'vanished'), file));
          },
        },
      });
    },
  },
];
