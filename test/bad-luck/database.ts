import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import type { Steps } from '../support/mock-steps.js';
import { atOnce, type BadLuck, fails } from './case.js';
import type { World } from './world.js';

/** A program of somebody else's that has the database open. */
async function intruder(world: World, script: string): Promise<ChildProcess> {
  const child = spawn('sqlite3', ['-batch', world.site.database], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.write(`.dbconfig no_ckpt_on_close on\n${script}\n.print ready\n`);
  for await (const chunk of child.stdout) if (String(chunk).includes('ready')) break;
  return child;
}

async function ended(child: ChildProcess | undefined): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

export const database: BadLuck[] = [
  {
    line: 'database locked by another process',
    happens: async (world) => {
      const checkpoint = atOnce(async (input: Parameters<Steps['checkpoint']>[0]) => {
        const other = await intruder(world, 'PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE;');
        return world.steps.checkpoint(input).finally(() => ended(other));
      });
      await fails(world, 'DatabaseLocked', /pid \d+/, { step: 'checkpoint', own: { checkpoint } });
    },
  },
  {
    line: 'a process of the application that still has the database open',
    happens: async (world) => {
      const other = await intruder(world, 'SELECT count(*) FROM web_pages;');
      try {
        await fails(world, 'StillWriting', /sqlite3 \(pid \d+\) still writes .*; end that process or wait for it/);
      } finally {
        await ended(other);
      }
    },
  },
  {
    line: 'checkpoint busy',
    happens: async (world) => {
      const checkpoint = atOnce(async (input: Parameters<Steps['checkpoint']>[0]) => {
        const writer = await intruder(world, 'CREATE TABLE IF NOT EXISTS other (a); INSERT INTO other VALUES (1);');
        const reader = await intruder(world, 'BEGIN; SELECT count(*) FROM other;');
        await ended(writer);
        await ended(await intruder(world, 'INSERT INTO other VALUES (2);'));
        return world.steps.checkpoint(input).finally(() => ended(reader));
      });
      await fails(world, 'CheckpointBusy', /pid \d+ \(sqlite3\)/, { step: 'checkpoint', own: { checkpoint } });
    },
  },
  {
    line: 'database corrupt',
    happens: async (world) => {
      const { database: path } = world.site;
      const dump = async (input: Parameters<Steps['dump']>[0]) => {
        const good = readFileSync(path);
        const bad = Buffer.from(good).fill(0xa5, good.length - 4096, good.length - 100);
        writeFileSync(path, bad);
        try {
          return await world.steps.dump(input);
        } finally {
          assert.deepEqual(readFileSync(path), bad, 'the live database is not touched');
          writeFileSync(path, good);
        }
      };
      await fails(
        world,
        'DatabaseCorrupt',
        /: the copy of database database cannot be read as a database; restore it from the newest proven snapshot$/,
        {
          own: { dump },
        },
      );
    },
  },
];
