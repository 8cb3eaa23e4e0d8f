import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FailureType } from '../../src/core/failures.js';
import type { Report } from '../../src/core/report.js';
import { NO_FOREIGN_PIDS } from '../support/pid-namespace.js';
import { eventually } from '../support/toy.js';
import { flip } from '../support/videocms-site.js';
import { atRest, type BadLuck, fails, judge } from './case.js';
import type { World } from './world.js';

const inRestic = <T>(world: World, use: () => Promise<T>) =>
  world.configured((cms) => {
    cms.repositories = ['nas'];
  }, use);

const locks = (world: World) => readdirSync(join(world.repositories.nas, 'locks'));

const resticEnv = (world: World) => ({
  ...process.env,
  RESTIC_REPOSITORY: world.repositories.nas,
  RESTIC_PASSWORD_FILE: world.passwordFile,
});

/** A backup by hand that goes on for as long as nobody ends its input, with its lock in the repository. */
async function byHand(world: World, wrap: string[] = []): Promise<ChildProcess> {
  const [program = '', ...args] = [...wrap, 'restic', 'backup', '--stdin'];
  const child = spawn(program, args, { env: resticEnv(world), stdio: ['pipe', 'ignore', 'ignore'] });
  await eventually('it has locked', 30_000, () => locks(world).length > 0);
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

/** A backup whose verification meets a lock, which `release` ends once it was told of. */
async function meets(world: World, told: RegExp, release: () => unknown): Promise<Report> {
  let met: { type: string; message: string } | undefined;
  const report = await world.run(
    'backup',
    {},
    {
      verify: async (input) =>
        world.steps.verify(input).catch(async (error) => {
          met ??= { type: error.type, message: error.message };
          await release();
          throw error;
        }),
    },
  );
  assert.ok(met, 'no lock was met');
  judge(met, 'RepositoryLocked', told);
  assert.equal(report.outcome, 'completed', report.said);
  await atRest(world);
  return report;
}

const HERE = /locked by process \d+ on |process \d+ on /;

export const repositories: BadLuck[] = [
  {
    line: 'wrong repository password',
    happens: (world) =>
      inRestic(world, async () => {
        const good = await world.run('backup');
        assert.equal(good.outcome, 'completed', good.said);
        const pid = world.site.pid();
        const right = readFileSync(world.passwordFile);
        writeFileSync(world.passwordFile, 'another one');
        // Looked at with the right one afterwards: the bare tool needs it, too.
        const report = await world.run('backup').finally(() => writeFileSync(world.passwordFile, right));
        judge(report.failures[0]!, 'RepositoryPassword', /; correct the password; never initialise it anew$/);
        assert.equal(world.site.pid(), pid, 'it was never stopped');
        await atRest(world);
      }),
  },
  {
    line: 'repository locked by a live owner',
    skip: NO_FOREIGN_PIDS,
    happens: (world) =>
      inRestic(world, async () => {
        const owner = await byHand(world);
        await meets(world, HERE, () => kill(owner)).finally(() => kill(owner));
      }),
  },
  {
    line: 'repository locked by a dead owner',
    skip: NO_FOREIGN_PIDS,
    happens: (world) =>
      inRestic(world, async () => {
        await kill(await byHand(world));
        const report = await world.run('backup');
        assert.equal(report.outcome, 'completed', report.said);
        assert.match(report.notes.join('\n'), /lock/);
        await atRest(world);
      }),
  },
  {
    line: 'repository locked from another hostname',
    mounts: true,
    happens: (world) =>
      inRestic(world, async () => {
        await kill(await byHand(world, ['unshare', '--uts', 'sh', '-c', 'hostname elsewhere && exec "$@"', 'sh']));
        await meets(world, /on elsewhere.*if that host is gone, unlock by hand/, () =>
          execFileSync('restic', ['unlock', '--remove-all'], { env: resticEnv(world), stdio: 'ignore' }),
        );
      }),
  },
  {
    line: 'repository missing',
    happens: async (world) => {
      assert.equal((await world.run('backup')).outcome, 'completed');
      const pid = world.site.pid();
      const { local } = world.repositories;
      renameSync(local, `${local}.away`);
      try {
        const report = await world.run('backup');
        judge(
          report.failures[0]!,
          'RepositoryMissing',
          /mount it, correct the location, or run `holdfast check --init`/,
        );
        assert.ok(!existsSync(local), 'nobody makes a new one in its place');
        assert.equal(world.site.pid(), pid, 'it was never stopped');
      } finally {
        renameSync(`${local}.away`, local);
      }
      await atRest(world);
    },
  },
  {
    line: 'repository damaged',
    happens: async (world) => {
      const archives = join(world.repositories.local, 'cms');
      const newest = readdirSync(archives)
        .filter((name) => /\.tar\./.test(name))
        .sort()
        .at(-1);
      flip(join(archives, newest ?? ''), 50_000);
      try {
        await fails(world, 'RepositoryDamaged' satisfies FailureType, /archive.*damaged; keep it as it is/, {
          workflow: 'verify',
          input: { depth: 'full' },
        });
      } finally {
        flip(join(archives, newest ?? ''), 50_000);
      }
    },
  },
];
