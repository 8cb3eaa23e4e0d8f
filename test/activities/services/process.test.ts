import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { services } from '../../../activities/services/index.js';
import { findProcess } from '../../../activities/services/process-table.js';
import { ServiceSpec } from '../../../src/core/plan.js';
import { serviceSuite } from '../../conformance/service-suite.js';
import { testContext } from '../../support/context.js';
import { eventually, lives } from '../../support/toy.js';

const APP = fileURLToPath(new URL('support/app.sh', import.meta.url));

async function site(root: string, name: string, argv: string[], more: object = {}) {
  const dir = join(root, name);
  await mkdir(dir);
  const spec = ServiceSpec.parse({
    kind: 'process',
    name,
    pidFile: join(dir, 'pid'),
    start: { argv: argv.map((each) => each.replaceAll('DIR', dir)), cwd: dir },
    signal: 'SIGINT',
    ...more,
  });
  return { spec, units: [name], beat: join(dir, 'beat'), dir };
}

const pidOf = async (dir: string) => Number(await readFile(join(dir, 'pid'), 'utf8').catch(() => '0'));

serviceSuite('process', async (ctx) => {
  const root = await mkdtemp(join(tmpdir(), 'holdfast-process-'));
  const app = await site(root, 'app', ['sh', APP, 'DIR']);
  const bystander = await site(root, 'bystander', ['sh', APP, 'DIR']);
  const stubborn = await site(root, 'stubborn', ['sh', APP, 'DIR', 'stubborn'], { stopTimeoutMs: 500 });
  const broken = await site(root, 'broken', ['sh', '-c', 'exit 3']);
  const unknown = { ...app.spec, pidFile: join(root, 'nowhere', 'pid') } as ServiceSpec;
  await services.process.start(bystander.spec, bystander.units, ctx);
  return {
    app,
    bystander,
    unknown,
    stubborn: { ...stubborn, ends: 'killed' },
    broken,
    kill: async () => void process.kill(await pidOf(app.dir), 'SIGKILL'),
    close: async () => {
      for (const { spec, units } of [app, bystander, stubborn]) await services.process.stop(spec, units, ctx);
      await rm(root, { recursive: true });
    },
  };
});

test('a program that forks and writes its pid file itself is followed', async () => {
  const root = await mkdtemp(join(tmpdir(), 'holdfast-process-'));
  const ctx = await testContext();
  const fork = `sleep 0.2; sh ${APP} DIR & echo $! >DIR/pid`;
  // A shell's background program ignores SIGINT.
  const { spec, units, dir } = await site(root, 'forks', ['sh', '-c', fork], { signal: 'SIGTERM' });
  await services.process.start(spec, units, ctx);
  const pid = await pidOf(dir);
  assert.ok((await readFile(`/proc/${pid}/cmdline`, 'utf8')).includes('app.sh'));
  await services.process.stop(spec, units, ctx);
  assert.equal(await findProcess(pid), undefined);
  await rm(root, { recursive: true });
});

test('whoever was started by somebody else at the same moment stays known', async () => {
  const root = await mkdtemp(join(tmpdir(), 'holdfast-process-'));
  const ctx = await testContext();
  const { spec, units, dir } = await site(root, 'twice', ['sh', APP, 'DIR']);
  const theirs = spawn('sh', [APP, dir], { cwd: dir, stdio: 'ignore' });
  const racing: typeof ctx = {
    ...ctx,
    run: async (program, ...rest) => {
      // After the look that found nobody, and before the program is started.
      if (program === 'setsid') await writeFile(join(dir, 'pid'), `${theirs.pid}\n`);
      return ctx.run(program, ...rest);
    },
  };
  await services.process.start(spec, units, racing);
  assert.equal(await pidOf(dir), theirs.pid);
  await services.process.stop(spec, units, ctx);
  assert.equal((await services.process.status(spec, ctx)).units[0]?.running, false);
  await rm(root, { recursive: true });
});

test("a stale pid file never leads to somebody else's process", async () => {
  const root = await mkdtemp(join(tmpdir(), 'holdfast-process-'));
  const ctx = await testContext();
  const { spec, units, dir } = await site(root, 'stale', ['sh', APP, 'DIR']);
  const foreign = spawn('sleep', ['600'], { cwd: '/', stdio: 'ignore' });
  const pidFile = join(dir, 'pid');
  await writeFile(pidFile, `${foreign.pid}\n${dir}\n`);
  await utimes(pidFile, new Date(), new Date(Date.now() - 3600_000));
  const { units: states } = await services.process.status(spec, ctx);
  assert.equal(states[0]?.running, false);
  await services.process.stop(spec, units, ctx);
  await services.process.start(spec, units, ctx);
  assert.notEqual(await pidOf(dir), foreign.pid);
  assert.equal(foreign.exitCode ?? foreign.signalCode, null, 'the other process lives');
  await services.process.stop(spec, units, ctx);
  foreign.kill();
  assert.match(ctx.notes.join(), /younger process of somebody else/);
  await rm(root, { recursive: true });
});

test('a clock set forward after the start does not hide the application', async () => {
  const root = await mkdtemp(join(tmpdir(), 'holdfast-process-'));
  const ctx = await testContext();
  const { spec, units, dir } = await site(root, 'clock', ['sh', APP, 'DIR']);
  await services.process.start(spec, units, ctx);
  await utimes(join(dir, 'pid'), new Date(), new Date(Date.now() - 3600_000));
  assert.equal((await services.process.status(spec, ctx)).units[0]?.running, true);
  await services.process.stop(spec, units, ctx);
  assert.equal(await findProcess(await pidOf(dir)), undefined);
  await rm(root, { recursive: true });
});

test('a zombie is gone', async () => {
  // The shell execs into a program that never reaps its child.
  const parent = spawn('sh', ['-c', 'sleep 0.1 & echo $!; exec sleep 600'], { stdio: ['ignore', 'pipe', 'ignore'] });
  const zombie = Number(await new Promise((done) => parent.stdout.once('data', (data) => done(String(data)))));
  await eventually('it has ended', 60_000, () => !lives(zombie));
  assert.equal(process.kill(zombie, 0), true, 'kill -0 takes it for alive');
  assert.equal(await findProcess(zombie), undefined);
  parent.kill();
});

test('what it starts has a session of its own and outlives its start command', async () => {
  const root = await mkdtemp(join(tmpdir(), 'holdfast-process-'));
  const ctx = await testContext();
  const { spec, units, dir } = await site(root, 'session', ['sh', APP, 'DIR']);
  await services.process.start(spec, units, ctx);
  const stat = await readFile(`/proc/${await pidOf(dir)}/stat`, 'utf8');
  const session = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3]);
  const own = (await readFile('/proc/self/stat', 'utf8')).split(') ')[1]?.split(' ')[3];
  assert.notEqual(session, Number(own));
  await services.process.stop(spec, units, ctx);
  await rm(root, { recursive: true });
});
