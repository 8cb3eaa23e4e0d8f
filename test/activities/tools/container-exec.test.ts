import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, describe, it } from 'node:test';
import { whereServerIs } from '../../../activities/tools/container-exec.js';
import { isFailure } from '../../../src/core/failures.js';
import { testContext } from '../../support/context.js';
import { eventually } from '../../support/toy.js';
import { openDockerd } from '../services/support/dockerd.js';

const SECRET = 'pass word\\with:"all"';
const credential = (as: string) => ({ text: `line one\n${SECRET}\n`, as, secrets: [SECRET] });

describe('a server on this host', () => {
  it('gets its credential by a file that has no name, and more than once; a variable or the first option says where', async () => {
    const ctx = await testContext();
    const script = 'stat -L -c "%a %h %F" "$PGPASSFILE"; for n in 1 2; do cat "$PGPASSFILE"; done';
    const fence = { lockFile: join(ctx.state.root, 'lock'), epochFile: join(ctx.state.root, 'epoch'), epoch: 1 };
    writeFileSync(fence.epochFile, '1\n');
    await whereServerIs(undefined, credential('PGPASSFILE'), ctx, async (run) => {
      const plain = ['600 0 regular file', ...[1, 2].flatMap(() => ['line one', SECRET]), ''].join('\n');
      assert.equal((await run('sh', ['-c', script])).stdout, plain);
      assert.equal((await run('sh', ['-c', `cat; ${script}`], { fence, input: 'more\n' })).stdout, `more\n${plain}`);
    });
    const first = await whereServerIs(undefined, credential('--defaults-extra-file'), ctx, (run) =>
      run('echo', ['more']),
    );
    assert.match(first.stdout, /^--defaults-extra-file=\/proc\/self\/fd\/3 more\n$/);
  });
});

const opened = await openDockerd();
const skip = typeof opened === 'string' ? opened : false;

describe('a server in a container', { skip }, () => {
  const dockerd = opened as Exclude<typeof opened, string>;
  process.env.DOCKER_HOST = skip ? process.env.DOCKER_HOST : dockerd.env.DOCKER_HOST;
  const labels = { project: 'cms', service: 'db', oneoff: 'False' };
  const flags = Object.entries(labels).flatMap(([name, value]) => ['-l', `com.docker.compose.${name}=${value}`]);
  if (!skip) dockerd.docker('run', '-d', '--network', 'none', ...flags, 'bb:1', 'sleep', '1000');
  after(() => (skip ? undefined : dockerd.close()));
  const place = { file: '/nowhere/docker-compose.yaml', project: 'cms', service: 'db' };

  it('gets its credential by standard input: it is in no argument, and in no file afterwards', async () => {
    const ctx = await testContext();
    await whereServerIs(place, credential('PGPASSFILE'), ctx, async (run) => {
      const { stdout } = await run('sh', ['-c', 'stat -L -c %a "$PGPASSFILE"; cat "$PGPASSFILE"']);
      assert.deepEqual(stdout.split('\n'), ['600', 'line one', SECRET, '']);
      assert.equal((await run('ls', ['/dev/shm'])).stdout, '');
    });
    await whereServerIs(place, undefined, ctx, async (run) => {
      assert.equal((await run('ls', ['/dev/shm'])).stdout, '');
      assert.equal((await run('sh', ['-c', 'echo $A'], { env: { A: 'b c' } })).stdout, 'b c\n');
    });
    const { stdout } = await whereServerIs(place, credential('--defaults-extra-file'), ctx, (run) =>
      run('echo', ['more']),
    );
    assert.match(stdout, /^--defaults-extra-file=\/proc\/self\/fd\/4 more\n$/);
    assert.doesNotMatch(await ctx.logText(), /pass word/);
  });

  it('passes bytes in and out as they are, behind the credential', async () => {
    const ctx = await testContext();
    const bytes = randomBytes(3_000_000);
    await whereServerIs(place, credential('PGPASSFILE'), ctx, async (run) => {
      let back = Buffer.alloc(0);
      await run('cat', [], {
        input: Readable.from([bytes]),
        onStdout: async (stdout) => {
          back = await buffer(stdout);
        },
      });
      const sum = (data: Buffer) => createHash('sha256').update(data).digest('hex');
      assert.equal(sum(back), sum(bytes));
    });
  });

  it('says what the program says: its exit code, that it is missing, that the container does not run', async () => {
    const ctx = await testContext();
    await whereServerIs(place, undefined, ctx, async (run) => {
      assert.equal((await run('sh', ['-c', 'exit 3'], { ok: [3] })).exitCode, 3);
      await assert.rejects(run('pg_dump', []), (e) => isFailure(e, 'ToolMissing') && /pg_dump/.test(e.message));
    });
    await assert.rejects(
      whereServerIs({ ...place, service: 'none' }, undefined, ctx, async () => {}),
      (e) => isFailure(e, 'DatabaseMissing'),
    );
  });

  it('a program whose client is killed ends too', async () => {
    const ctx = await testContext();
    const running = whereServerIs(place, credential('PGPASSFILE'), ctx, (run) => run('sleep', ['777']));
    const sleeps = () => dockerd.docker('top', dockerd.docker('ps', '-q').trim(), '-eo', 'pid,args');
    await eventually('it runs', 60_000, () => sleeps().includes('sleep 777'));
    ctx.cancel(new Error('enough'));
    await assert.rejects(running, /enough/);
    await eventually('it has ended', 60_000, () => !sleeps().includes('sleep 777'));
    const other = await testContext();
    const left = await whereServerIs(place, undefined, other, (run) => run('ls', ['/dev/shm']));
    assert.equal(left.stdout, '');
  });
});
