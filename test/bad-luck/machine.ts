import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Steps } from '../support/mock-steps.js';
import { atRest, type BadLuck, judge } from './case.js';
import { remount, type World } from './world.js';

async function withPath<T>(path: string, use: () => Promise<T>): Promise<T> {
  const before = process.env.PATH;
  process.env.PATH = path;
  try {
    return await use();
  } finally {
    process.env.PATH = before;
  }
}

/** A directory of all programs but one. */
function allBut(world: World, program: string): string {
  const bin = join(world.dir, `all-but-${program}`);
  mkdirSync(bin);
  for (const dir of (process.env.PATH ?? '').split(':').filter((each) => existsSync(each)))
    for (const name of readdirSync(dir))
      if (name !== program && !existsSync(join(bin, name))) {
        try {
          symlinkSync(join(dir, name), join(bin, name));
        } catch {} // A link to nowhere.
      }
  return bin;
}

/** This process' clock an hour ahead; the watchdog and Temporal keep theirs. */
function anHourAhead(): () => void {
  const Real = Date;
  class Ahead extends Real {
    constructor(...args: []) {
      if (args.length === 0) super(Real.now() + 3_600_000);
      else super(...args);
    }
    static override now(): number {
      return Real.now() + 3_600_000;
    }
  }
  globalThis.Date = Ahead as DateConstructor;
  return () => {
    globalThis.Date = Real;
  };
}

async function nextRunIsGood(world: World): Promise<void> {
  const next = await world.run('backup');
  assert.equal(next.outcome, 'completed', next.said);
  await atRest(world);
}

export const machine: BadLuck[] = [
  {
    line: 'tool missing',
    happens: async (world) => {
      const pid = world.site.pid();
      const report = await withPath(allBut(world, 'sqlite3'), () => world.run('backup'));
      judge(report.failures[0]!, 'ToolMissing', /: the program sqlite3 is not installed; install it$/);
      assert.equal(world.site.pid(), pid, 'it was never stopped');
      await atRest(world);
    },
  },
  {
    line: 'tool too old',
    happens: async (world) => {
      const bin = join(world.dir, 'old');
      mkdirSync(bin);
      writeFileSync(join(bin, 'restic'), '#!/bin/sh\necho "restic 0.9.6 compiled with go1.12 on linux/amd64"\n');
      chmodSync(join(bin, 'restic'), 0o755);
      const pid = world.site.pid();
      await world.configured(
        (cms) => {
          cms.repositories = ['nas'];
        },
        async () => {
          const report = await withPath(`${bin}:${process.env.PATH}`, () => world.run('backup'));
          judge(report.failures[0]!, 'ToolTooOld', /restic 0\.9\.6 is older than 0\.14; install a newer version$/);
        },
      );
      assert.equal(world.site.pid(), pid, 'it was never stopped');
      await atRest(world);
    },
  },
  {
    line: 'clock stepped by an hour',
    happens: async (world) => {
      let back = () => {};
      const checkpoint: Steps['checkpoint'] = (input) => {
        back = anHourAhead();
        return world.steps.checkpoint(input);
      };
      const keepOne = (cms: { keep?: object }) => {
        cms.keep = { last: 1 };
      };
      const report = await world
        .configured(keepOne, () => world.run('backup', {}, { checkpoint }))
        .finally(() => back());
      assert.equal(report.outcome, 'completed', report.said);
      assert.ok(report.downtimeMs !== undefined && report.downtimeMs < 600_000, `down ${report.downtimeMs} ms`);
      // No failure: the backup is good, and what is not safe by such a clock is left.
      assert.match(report.notes.join('\n'), /nothing was removed: this host's clock is .* off Temporal's/);
      await atRest(world);
    },
  },
  {
    line: 'state directory read-only before the run',
    mounts: true,
    happens: async (world) => {
      const pid = world.site.pid();
      const report = await world.mounted('state', 'ro', () => world.run('backup'));
      judge(report.failures[0]!, 'StateUnusable', /cannot be used \(EROFS\); make it writable by the worker$/);
      assert.equal(world.site.pid(), pid, 'it was never stopped');
      await atRest(world);
    },
  },
  {
    line: 'state directory read-only while the application is stopped',
    mounts: true,
    happens: async (world) => {
      const { state } = world.disks;
      let up = false;
      const report = await world
        .run(
          'backup',
          {},
          {
            dump: (input) => {
              remount(state, 'ro');
              return world.steps.dump(input);
            },
            finish: async (input) => {
              up = await world.site.up();
              remount(state, 'rw');
              return world.steps.finish(input);
            },
          },
        )
        .finally(() => remount(state, 'rw'));
      judge(report.failures[0]!, 'StateUnusable', /^dump on local: .*; make it writable by the worker$/);
      assert.ok(up, 'it came up although nothing could be written');
      await nextRunIsGood(world);
    },
  },
  {
    line: 'state directory lost while the application is stopped',
    happens: async (world) => {
      const { state } = world.disks;
      const lost = join(state, '.lost');
      const move = (from: string, to: string) => {
        for (const name of readdirSync(from).filter((each) => each !== '.lost'))
          renameSync(join(from, name), join(to, name));
      };
      const dump: Steps['dump'] = (input) => {
        if (!existsSync(lost)) {
          mkdirSync(lost);
          move(state, lost);
        }
        return world.steps.dump(input);
      };
      const report = await world.run('backup', {}, { dump });
      judge(
        report.failures[0]!,
        'StateUnusable',
        /^dump on local: the frozen plan .* cannot be read; start the run again$/,
      );
      // By the watchdog, which has seen the record.
      await world.site.healthy();
      await nextRunIsGood(world);
      rmSync(lost, { recursive: true });
    },
  },
  {
    line: 'host queue without a worker',
    happens: async (world) => {
      const report = await world.run('backup', { site: 'cms@nowhere' });
      judge(
        report.failures[0]!,
        'NoWorker',
        /^prepare on nowhere: no worker answers for host nowhere; start `holdfast worker` there; nothing was stopped$/,
      );
      await atRest(world);
    },
  },
];
