import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { services } from '../../../activities/services/index.js';
import { type FailureType, isFailure } from '../../../src/core/failures.js';
import { ServiceSpec } from '../../../src/core/plan.js';
import { serviceSuite } from '../../conformance/service-suite.js';
import { testContext } from '../../support/context.js';

const APP = fileURLToPath(new URL('support/app.sh', import.meta.url));
const START = (mode: string) =>
  `rm -f main.pid; setsid -f sh ${APP} "$PWD" ${mode} >/dev/null 2>&1; until [ -s main.pid ]; do sleep 0.02; done`;
const STATUS = 'read -r pid <main.pid && kill -0 "$pid" 2>/dev/null || exit 3';

async function site(root: string, name: string, stop: string, start = START(''), stopTimeoutMs = 30_000) {
  const cwd = join(root, name);
  await mkdir(cwd);
  const sh = (script: string) => ({ argv: ['sh', '-c', script], cwd });
  const spec = ServiceSpec.parse({
    kind: 'command',
    name,
    stop: sh(stop),
    start: sh(start),
    status: sh(STATUS),
    stopTimeoutMs,
  });
  return { spec, units: [name], beat: join(cwd, 'beat') };
}

const END = (signal: string) =>
  `read -r pid <main.pid; kill -${signal} "$pid"; while kill -0 "$pid"; do sleep 0.02; done 2>/dev/null`;

serviceSuite('command', async (ctx) => {
  const root = await mkdtemp(join(tmpdir(), 'holdfast-command-'));
  const app = await site(root, 'app', END('TERM'));
  const bystander = await site(root, 'bystander', END('KILL'));
  const stubborn = await site(root, 'stubborn', END('TERM'), START('stubborn'), 500);
  const liar = await site(root, 'liar', 'exit 0', START(''), 500);
  const broken = await site(root, 'broken', 'exit 0', 'exit 1');
  const kill = async ({ beat }: { beat: string }) => {
    const pid = Number(await readFile(join(dirname(beat), 'main.pid'), 'utf8').catch(() => ''));
    if (pid > 1) process.kill(pid, 'SIGKILL');
  };
  await services.command.start(bystander.spec, bystander.units, ctx);
  return {
    app,
    bystander,
    unknown: { ...app.spec, status: { argv: ['sh', '-c', 'exit 4'], timeoutMs: 60_000 } } as ServiceSpec,
    stubborn: { ...stubborn, ends: 'StopFailed' },
    liar,
    broken,
    kill: () => kill(app),
    close: async () => {
      for (const each of [bystander, stubborn, liar]) await kill(each);
      await rm(root, { recursive: true });
    },
  };
});

test('a secret of the environment reaches the command, and no log', async () => {
  const root = await mkdtemp(join(tmpdir(), 'holdfast-command-'));
  const ctx = await testContext();
  process.env.HOLDFAST_TEST_TOKEN = 'correct-horse-battery';
  const argv = ['sh', '-c', 'echo "$TOKEN" >&2; [ "$TOKEN" = correct-horse-battery ] && exit 3; exit 9'];
  const command = { argv, cwd: root, env: { TOKEN: { env: 'HOLDFAST_TEST_TOKEN' } } };
  const spec = ServiceSpec.parse({ kind: 'command', name: 'app', stop: command, start: command, status: command });
  assert.deepEqual(await services.command.status(spec, ctx), { units: [{ name: 'app', running: false }] });
  assert.ok(!(await ctx.logText()).includes('battery'));
  delete process.env.HOLDFAST_TEST_TOKEN;
  await rm(root, { recursive: true });
});

test('an exit code of `status` that nobody knows is no "stopped"', async () => {
  const ctx = await testContext();
  const command = { argv: ['sh', '-c', 'exit 1'] };
  const spec = ServiceSpec.parse({ kind: 'command', name: 'app', stop: command, start: command, status: command });
  await assert.rejects(services.command.status(spec, ctx), (error) => isFailure(error, 'ToolFailed'));
});

test('none has no units and nothing to do', async () => {
  const ctx = await testContext();
  const spec = ServiceSpec.parse({ kind: 'none', name: 'files' });
  await services.none.stop(spec, [], ctx);
  await services.none.start(spec, [], ctx);
  assert.deepEqual(await services.none.status(spec, ctx), { units: [] });
});

test('preflight finds what would only fail after the stop', async () => {
  const ctx = await testContext();
  const good = { argv: ['sh', '-c', 'exit 3'] };
  const spec = (start: object) =>
    ServiceSpec.parse({ kind: 'command', name: 'app', stop: good, status: good, start: { ...good, ...start } });
  const cases: [object, FailureType][] = [
    [{ argv: ['no-such-program'] }, 'ToolMissing'],
    [{ cwd: '/nonexistent' }, 'ServiceUnknown'],
  ];
  for (const [start, type] of cases)
    await assert.rejects(services.command.preflight(spec(start), ctx), (error) => isFailure(error, type));
  assert.deepEqual(await services.command.preflight(spec({}), ctx), {});
});
