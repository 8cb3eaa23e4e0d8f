import assert from 'node:assert/strict';
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Steps } from '../support/mock-steps.js';
import { type BadLuck, fails } from './case.js';
import type { World } from './world.js';

const filler = (world: World, disk: keyof World['disks']) => join(world.disks[disk], 'of-somebody-else');

/** Leaves so many bytes of a disk free. */
function fill(world: World, disk: keyof World['disks'], leave: number): void {
  const { bavail, bsize } = statfsSync(world.disks[disk]);
  writeFileSync(filler(world, disk), Buffer.alloc(Math.max(0, bavail * bsize - leave), 1));
}

const clear = (world: World, disk: keyof World['disks']) => rmSync(filler(world, disk), { force: true });

/** A real step, on a disk that fills up right before it. */
function filledBefore<N extends 'dump' | 'store'>(world: World, name: N, disk: keyof World['disks'], leave: number) {
  let filled = false;
  return {
    [name]: async (input: never) => {
      if (!filled) fill(world, disk, leave);
      filled = true;
      return (world.steps[name] as (input: never) => Promise<unknown>)(input);
    },
  } as Partial<Steps>;
}

export const disks: BadLuck[] = [
  {
    line: 'disk full in staging, before the run',
    mounts: true,
    happens: async (world) => {
      const pid = world.site.pid();
      fill(world, 'state', 150_000);
      await fails(world, 'NoSpace', /staging has \d.* free, and needs .*nothing was stopped$/, {
        step: 'prepare',
      }).finally(() => clear(world, 'state'));
      assert.equal(world.site.pid(), pid, 'it was never stopped');
    },
  },
  {
    line: 'disk full in staging, while the application is stopped',
    mounts: true,
    happens: async (world) => {
      await fails(world, 'DiskFull', /free some space$/, {
        step: 'dump',
        own: filledBefore(world, 'dump', 'state', 20_000),
      }).finally(() => clear(world, 'state'));
    },
  },
  {
    line: 'disk full in the repository, before the run',
    mounts: true,
    happens: async (world) => {
      const pid = world.site.pid();
      fill(world, 'repositories', 150_000);
      await fails(world, 'NoSpace', /repository local has .*nothing was stopped$/, { step: 'prepare' }).finally(() =>
        clear(world, 'repositories'),
      );
      assert.equal(world.site.pid(), pid, 'it was never stopped');
    },
  },
  {
    line: 'disk full in the repository, while it stores',
    mounts: true,
    happens: async (world) => {
      await fails(world, 'DiskFull', /repository local.*; free some space/, {
        step: 'store',
        own: filledBefore(world, 'store', 'repositories', 200_000),
      }).finally(() => clear(world, 'repositories'));
    },
  },
  {
    line: 'disk full in scratch',
    mounts: true,
    happens: async (world) => {
      assert.equal((await world.run('backup')).outcome, 'completed');
      fill(world, 'scratch', 150_000);
      await fails(world, 'NoSpace', /scratch/, { workflow: 'restoreTest', step: 'fetch' }).finally(() =>
        clear(world, 'scratch'),
      );
      await world.mounted('scratch', 'nr_inodes=12', () =>
        fails(world, 'DiskFull', /free some space/, { workflow: 'restoreTest', step: 'fetch' }),
      );
    },
  },
  {
    line: 'disk full in put-aside',
    mounts: true,
    happens: async (world) => {
      const { captureId } = await world.run('backup');
      const input = { approve: { site: 'cms', snapshot: captureId } };
      fill(world, 'www', 150_000);
      await fails(world, 'NoSpace', /free/, { workflow: 'restore', input, step: 'fetch' }).finally(() =>
        clear(world, 'www'),
      );
    },
  },
];
