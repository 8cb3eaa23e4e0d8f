import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { atRest, type BadLuck, fails, judge } from './case.js';
import type { World } from './world.js';

/** The site as a `command` service, whose commands may do anything; by default the right thing. */
function byCommands(world: World, own: { stop?: string; start?: string; status?: string; stopTimeout?: string } = {}) {
  const { site } = world;
  const sh = (script: string) => ({ argv: ['/bin/sh', '-c', script, 'sh', ...site.command.argv], cwd: site.root });
  const alive = `kill -0 "$(cat ${site.pidFile})" 2>/dev/null`;
  const start = 'setsid --fork "$@" </dev/null >/dev/null 2>&1; sleep 0.2';
  return {
    name: 'videocms',
    // Short where it is to be over in vain, and where a stop of ours follows: for so long the watchdog takes it for a late one.
    stopTimeout: own.stopTimeout ?? '1s',
    command: {
      stop: sh(own.stop ?? `kill -INT "$(cat ${site.pidFile})"; while ${alive}; do sleep 0.02; done`),
      start: { ...sh(own.start ?? start), env: site.command.env },
      status: sh(own.status ?? `${alive} || exit 3`),
    },
  };
}

const counter = (world: World) => join(world.dir, 'starts');
/** Each call of a script counts itself in `$n`. */
const counted = (world: World) =>
  `n=$(($(cat ${counter(world)} 2>/dev/null || echo 0) + 1)); echo $n >${counter(world)}; `;

const START = 'setsid --fork "$@" </dev/null >/dev/null 2>&1; sleep 0.2';

/** Where nobody becomes healthy, nobody waits long. */
async function impatient<T>(world: World, use: () => Promise<T>): Promise<T> {
  const { healthPatienceMs = 0 } = world.deps;
  world.deps.healthPatienceMs = 700;
  return use().finally(() => {
    world.deps.healthPatienceMs = healthPatienceMs;
  });
}

export const application: BadLuck[] = [
  {
    line: 'no such service',
    happens: async (world) => {
      const pid = world.site.pid();
      await world.configured(
        (cms) => {
          cms.service = byCommands(world, { status: 'exit 4' });
        },
        () => fails(world, 'ServiceUnknown', /status command of videocms/, { step: 'prepare' }),
      );
      assert.equal(world.site.pid(), pid, 'it was never stopped');
    },
  },
  {
    line: 'a stop that hangs',
    happens: async (world) => {
      await world.configured(
        (cms) => {
          cms.service = byCommands(world, { stop: 'sleep 600' });
        },
        () =>
          fails(world, 'StopFailed', /stop command of videocms failed or took too long; stop it by hand/, {
            step: 'stop',
          }),
      );
    },
  },
  {
    line: 'a stop that "succeeds" while the process lives',
    happens: async (world) => {
      await world.configured(
        (cms) => {
          cms.service = byCommands(world, { stop: 'true' });
        },
        () => fails(world, 'StopFailed', /still runs although its stop command succeeded/, { step: 'stop' }),
      );
    },
  },
  {
    line: 'a start that fails twice and then works',
    happens: async (world) => {
      rmSync(counter(world), { force: true });
      const report = await world.configured(
        (cms) => {
          cms.service = byCommands(world, {
            start: `${counted(world)} [ $n -gt 2 ] || exit 1; ${START}`,
            stopTimeout: '30s',
          });
        },
        () => world.run('backup'),
      );
      assert.equal(report.outcome, 'completed', report.said);
      await atRest(world);
    },
  },
  {
    line: 'never healthy',
    happens: async (world) => {
      // It answers before the backup and no more after it, until somebody mends it.
      const sick = join(world.dir, 'sick');
      const report = await world.configured(
        (cms) => {
          cms.service = byCommands(world, { start: `touch ${sick}; ${START}` });
          cms.health = { command: ['/bin/sh', '-c', `[ ! -e ${sick} ]`] };
          cms.limits.start = '8s';
        },
        () => impatient(world, () => world.run('backup')),
      );
      assert.equal(report.outcome, 'failed', report.said);
      assert.match(report.said, /^APPLICATION DOWN; stored: local:\w{8}$/);
      judge(report.failures[0]!, 'ApplicationDown', /not up within 8\.00 s; bring it up; the watchdog goes on trying$/);
      rmSync(sick);
      const next = await world.run('backup');
      assert.equal(next.outcome, 'completed', next.said);
      await atRest(world);
    },
  },
  {
    line: 'a crash-looping application before the run',
    happens: async (world) => {
      await world.site.stop();
      const loop = spawn('/bin/sh', ['-c', 'while :; do sh -c "exit 1"; sleep 0.1; done'], { detached: true });
      const report = await world.configured(
        (cms) => {
          cms.service = byCommands(world, { status: `kill -0 ${loop.pid} 2>/dev/null || exit 3` });
        },
        () => impatient(world, () => world.run('backup')),
      );
      judge(report.failures[0]!, 'NotHealthy', /runs, but was not healthy before the backup; .*nothing was stopped$/);
      assert.ok(process.kill(loop.pid as number, 0), 'nobody has touched it');
      process.kill(-(loop.pid as number), 'SIGKILL');
      await world.site.start();
      await atRest(world);
    },
  },
];
