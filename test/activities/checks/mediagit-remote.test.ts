import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { mediagitChecks } from '../../../activities/checks/mediagit.js';
import {
  fromRemote,
  MEDIAGIT_REMOTE_ARGS,
  pushMediagit,
  remotesOf,
} from '../../../activities/checks/mediagit-remote.js';
import { mediagit } from '../../../src/apps/mediagit.js';
import { isFailure } from '../../../src/core/failures.js';
import type { Plan } from '../../../src/core/plan.js';
import { testContext } from '../../support/context.js';
import { type Sample, sampleRepository } from '../../support/mediagit-repository.js';
import { flip } from '../../support/videocms-site.js';

/*
 * A remote as mediagit-server was seen to answer, and in the program's place a script that does what the real one does: a push brings a branch's objects
 * and its ref (and knows --no-track or not), a clone has the objects of one branch only.
 */

const dir = await mkdtemp(join(tmpdir(), 'holdfast-remote-'));
const path = process.env.PATH;
const at = join(dir, 'server/project/.mediagit');
const server = createServer(async (request, answer) => {
  asked.push(`${request.url} ${request.headers.authorization ?? ''}`.trim());
  const names = await readdir(join(at, 'refs/heads')).catch(() => []);
  const refs = await Promise.all(
    names.map(async (name) => {
      const oid = (await readFile(join(at, 'refs/heads', name), 'utf8')).trim();
      return { name: `refs/heads/${name}`, oid, target: null };
    }),
  );
  answer.writeHead(request.url === '/project/info/refs' ? 200 : 404, { 'content-type': 'application/json' });
  answer.end(
    JSON.stringify({ refs: [{ name: 'HEAD', oid: '', target: 'refs/heads/main' }, ...refs], capabilities: [] }),
  );
});
const asked: string[] = [];
let sample: Sample;
let plan: Plan;
const root = join(dir, 'site');

before(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/project`;
  sample = await sampleRepository(join(root, '.mediagit'));
  const config = join(sample.git, 'config.toml');
  const text = await readFile(config, 'utf8');
  await writeFile(
    config,
    `${text}\n[remotes.backup]\nurl = "${url}"\ntoken = "t0k-en"\n[remotes.gone]\nurl = "http://127.0.0.1:1/x"\n[remotes.shown]\nurl = "http://me:s3cret@127.0.0.1:1/x"\n`,
  );
  plan = planOf({ push: ['backup'] });
  await mkdir(join(at, 'refs/heads'), { recursive: true });
});
after(async () => {
  process.env.PATH = path;
  server.close();
  await rm(dir, { recursive: true, force: true });
});

const planOf = (options: object) =>
  ({ site: 'media', root, options, repositories: [], limits: { reserveBytes: 1e6 } }) as unknown as Plan;

/** `bad`: a push of that branch ends with 0 and brings nothing. */
async function install(name: string, { bad = '', old = false } = {}): Promise<string> {
  const bin = join(dir, name);
  await mkdir(bin);
  const script = `#!/bin/sh
echo "$*" >>${bin}/calls
echo "as they print it: t0k-en" >&2
case "$1" in
push)
  [ "$2" != --no-track ] || { ${old ? 'exit 2' : 'shift'}; }
  [ "$3" != "${bad}" ] || exit 0
  mkdir -p ${at}/objects && cp -a .mediagit/objects/objects/. ${at}/objects/ && cp .mediagit/refs/heads/$3 ${at}/refs/heads/$3 ;;
clone) mkdir -p "$3/.mediagit/objects" && cp -a ${at}/objects/. "$3/.mediagit/objects/" && rm -r "$3/.mediagit/objects/ch" ;;
pull) cp -a ${at}/objects/. .mediagit/objects/; exit 1 ;;
esac
`;
  await writeFile(join(bin, 'mediagit'), script);
  await chmod(join(bin, 'mediagit'), 0o755);
  process.env.PATH = `${bin}:${path}`;
  return join(bin, 'calls');
}

const refused = (type: Parameters<typeof isFailure>[1], words: RegExp) => (error: Error) => {
  assert.ok(isFailure(error, type), String(error));
  assert.match(error.message, words);
  return true;
};

test('each branch is pushed, and the remote is asked what it has', async () => {
  const calls = await install('good');
  const ctx = await testContext();
  await mediagitChecks.preflight?.(plan, ctx);
  assert.match(await pushMediagit(plan, 'backup', ctx), /^2 branches are at backup/);
  assert.deepEqual((await readFile(calls, 'utf8')).trim().split('\n'), [
    'push --no-track backup grade',
    'push --no-track backup main',
  ]);
  assert.deepEqual(asked, ['/project/info/refs Bearer t0k-en']);
  const log = await ctx.logText();
  assert.match(log, /as they print it: \*\*\*/);
  assert.doesNotMatch(log, /t0k-en/);
  assert.doesNotMatch(JSON.stringify(MEDIAGIT_REMOTE_ARGS.push('r', 'b')), /force|delete|"-f"/);
  assert.deepEqual(mediagitChecks.push?.remotes(plan), ['backup']);
  // A version that knows no such option.
  const older = await install('old', { old: true });
  await pushMediagit(plan, 'backup', ctx);
  assert.match(await readFile(older, 'utf8'), /^push --no-track backup grade\npush backup grade\n/);
});

test('a push that ends with 0 and brought nothing fails, by the branch; so does a remote that does not answer', async () => {
  const ctx = await testContext();
  await rm(join(at, 'refs/heads/grade'));
  await install('bad', { bad: 'grade' });
  const lacks = refused('RemoteFailed', /backup lacks 1 of 2 branches as they are: grade \(push ended with 0\)/);
  await assert.rejects(pushMediagit(plan, 'backup', ctx), lacks);
  // A ref that is newer there than here is as bad: nothing is forced.
  await writeFile(join(at, 'refs/heads/grade'), `${'e'.repeat(64)}\n`);
  await assert.rejects(pushMediagit(plan, 'backup', ctx), lacks);
  await assert.rejects(pushMediagit(plan, 'gone', ctx), refused('RemoteFailed', /gone did not tell its refs/));
  await assert.rejects(pushMediagit(plan, 'nosuch', ctx), refused('InvalidConfig', /no remote nosuch/));
  const unknown = mediagitChecks.preflight!(planOf({ push: ['nosuch'] }), ctx);
  await assert.rejects(unknown, refused('InvalidConfig', /no remote nosuch, which options\.push names/));
  assert.equal(mediagit.options.safeParse({ push: ['backup'], repository: '.' }).success, false);
  assert.equal(mediagit.options.safeParse({ push: ['--force'] }).success, false);
});

test('a repair takes from a remote what it has whole, of every branch, and nothing that it has damaged', async () => {
  const ctx = await testContext();
  await rm(join(at, 'refs/heads/grade'));
  const calls = await install('whole');
  await pushMediagit(plan, 'backup', ctx);
  const { files, path: place, store } = sample;
  const before = join(dir, 'before');
  await cp(store, before, { recursive: true });
  const chunk = (await readdir(join(store, 'ch/un'))).find((name) => name.startsWith('chunks__')) ?? '';
  flip(join(store, 'ch/un', chunk), 1000);
  await rm(place('object', files['page.html']!));
  flip(place('object', files['mid.bin']!), 100);
  // The remote has this one damaged, too: a clone brings it along without a word.
  flip(join(at, place('object', files['mid.bin']!).slice(sample.git.length + '/objects/'.length)), 200);
  assert.equal(await fromRemote(plan, 'nosuch', dir, ctx), undefined);
  assert.deepEqual(Object.keys(await remotesOf(plan)).sort(), ['backup', 'gone', 'origin', 'shown']);
  // Arguments are seen by everybody.
  const shown = await fromRemote(plan, 'shown', dir, ctx);
  await assert.rejects(
    shown!(['objects/x']),
    refused('InvalidConfig', /the address of the remote shown holds a password/),
  );
  const work = join(dir, 'work');
  await mkdir(work);
  const fetch = await mediagitChecks.fromRemote!({ plan, name: 'backup', dir: work }, ctx);
  const { repaired, left } = await mediagitChecks.repair!({ plan, fetch: fetch! }, ctx);
  assert.match(
    repaired.sort().join('\n'),
    RegExp(`^damaged chunk .*\nmissing object ${files['page.html']!.slice(0, 12)}`),
  );
  assert.match(left.join('\n'), RegExp(`damaged object ${files['mid.bin']!.slice(0, 12)}`));
  assert.deepEqual(await readFile(join(store, 'ch/un', chunk)), await readFile(join(before, 'ch/un', chunk)));
  assert.match(await readFile(calls, 'utf8'), /clone http:\S+ \S+\npull origin grade\npull origin main\n$/);
});
