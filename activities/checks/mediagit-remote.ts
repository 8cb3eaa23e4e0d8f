import { lstat, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { isFailure } from '../../src/core/failures.js';
import type { Plan } from '../../src/core/plan.js';
import type { Context } from '../contracts.js';
import { spaceFor } from '../preflight/space.js';
import { findProgram } from '../tools/programs.js';
import { parseRemotes, type Remote } from './mediagit-config.js';
import { kindOf } from './mediagit-format.js';
import { placesOf } from './mediagit-live.js';
import { readRefs } from './mediagit-refs.js';
import type { FromSnapshot } from './mediagit-repair.js';
import { ObjectStore } from './mediagit-store.js';

const ANY = Array.from({ length: 256 }, (_, i) => i);
const META = '.meta';
const HEADS = 'refs/heads/';
const ANSWER_MS = 60_000;

/** All that is asked of the program about remotes, as its own page has it. Never with force: what is newer there stays. */
export const MEDIAGIT_REMOTE_ARGS = {
  // Its usage error (2) tells a version that knows no such option; without it a new branch needs an upstream first.
  push: (remote: string, branch: string) => [
    ['push', '--no-track', remote, branch],
    ['push', remote, branch],
  ],
  clone: (url: string, to: string) => ['clone', url, to],
  pull: (branch: string) => ['pull', 'origin', branch],
} as const;

const Refs = z.object({ refs: z.array(z.object({ name: z.string(), oid: z.string() })) });

/** Remotes that config.toml names; none where it cannot be read. */
export async function remotesOf(plan: Plan): Promise<Record<string, Remote>> {
  return parseRemotes(await readFile(join(placesOf(plan).git, 'config.toml'), 'utf8').catch(() => ''));
}

/** Throws what would make each push fail, before anything else runs. */
export async function preflightPush(plan: Plan, ctx: Context): Promise<void> {
  const { push } = placesOf(plan).options;
  if (push.length === 0) return;
  if (!findProgram('mediagit'))
    throw ctx.fail('ToolMissing', 'the program mediagit is not installed; options.push needs it', {
      advice: 'install it, or remove options.push',
    });
  const known = Object.keys(await remotesOf(plan));
  const unknown = push.filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw ctx.fail('InvalidConfig', `config.toml has no remote ${unknown.join(', ')}, which options.push names`, {
      advice: 'add it with `mediagit remote add`',
    });
}

/**
 * Pushes each branch, and asks the remote what it has then: exit code 0 proves nothing. Tags, reflog, index and stashes do not travel, and a damaged
 * chunk does without a word (facts): this is no backup, but a copy that others can work with at once. Throws RemoteFailed.
 */
export async function pushMediagit(plan: Plan, name: string, ctx: Context): Promise<string> {
  const { git } = placesOf(plan);
  const remote = await remoteOf(plan, name, ctx);
  const before = await branchesOf(git);
  const codes = new Map<string, number>();
  const run = await asOwner(git, secretsOf(remote), ctx);
  for (const branch of before.keys()) {
    // A name that the program would take for an option.
    if (branch.startsWith('-')) continue;
    for (const args of MEDIAGIT_REMOTE_ARGS.push(name, branch)) {
      codes.set(branch, await run(args));
      if (codes.get(branch) !== 2) break;
    }
  }
  const there = await branchesAt(remote, name, ctx);
  const now = await branchesOf(git);
  const lacking = [...before].filter(([branch, id]) => ![id, now.get(branch)].includes(there.get(branch) ?? 'none'));
  if (lacking.length === 0) return `${before.size} branches are at ${name}; tags, reflog and stashes are not`;
  const words = lacking.map(([branch]) => `${branch} (push ended with ${codes.get(branch) ?? 'nothing'})`);
  throw ctx.fail(
    'RemoteFailed',
    `${name} lacks ${lacking.length} of ${before.size} branches as they are: ${words[0]}`,
    {
      details: { places: words.slice(0, 20) },
    },
  );
}

/**
 * Where a repair finds objects that a remote has: a clone beside the live repository, with every branch (a clone alone has the objects of one). What
 * it brings is judged piece by piece, like a snapshot's. Undefined where config.toml has no such remote.
 */
export async function fromRemote(
  plan: Plan,
  name: string,
  dir: string,
  ctx: Context,
): Promise<FromSnapshot | undefined> {
  const remote = (await remotesOf(plan))[name];
  if (!remote) return undefined;
  let store: ObjectStore | undefined;
  return async (paths) => {
    store ??= await cloned(plan, name, remote, dir, ctx);
    const found = new Map<string, string>();
    for (const path of paths) {
      const meta = path.endsWith(META) ? META : '';
      const known = kindOf(basename(path).slice(0, meta ? -META.length : undefined));
      const at = known && `${(await store.find(known.kind, known.id)).path}${meta}`;
      if (at && (await lstat(at).catch(() => undefined))?.isFile()) found.set(path, at);
    }
    return found;
  };
}

async function cloned(plan: Plan, name: string, remote: Remote, dir: string, ctx: Context): Promise<ObjectStore> {
  if (!findProgram('mediagit'))
    throw ctx.fail('ToolMissing', 'the program mediagit is not installed; a repair from a remote needs it');
  const secrets = secretsOf(remote);
  // A clone takes its address as an argument alone, which every user of this machine sees.
  if (passwordOf(remote) !== '')
    throw ctx.fail('InvalidConfig', `the address of the remote ${name} holds a password, which a clone would show`, {
      advice: 'repair from a snapshot, or from a remote whose address holds none',
    });
  const { stdout } = await ctx.run('du', ['-sb', '--', placesOf(plan).objects], { ok: [0, 1] });
  // Its objects, and the files that a clone checks out of them.
  await spaceFor('a clone', dir, 2 * Number(stdout.split('\t')[0] ?? 0), plan, ctx);
  const to = join(dir, 'clone');
  const env = { HOME: dir };
  const { exitCode } = await ctx.run('mediagit', MEDIAGIT_REMOTE_ARGS.clone(remote.url, to), {
    ...{ cwd: dir, env, secrets, ok: ANY },
    onLine: () => ctx.beat(),
  });
  if (exitCode !== 0) throw ctx.fail('RemoteFailed', `the remote ${name} cannot be cloned: it ended with ${exitCode}`);
  // Into which branch it would merge is of no interest here: its objects are there by then.
  for (const branch of (await branchesAt(remote, name, ctx)).keys())
    if (!branch.startsWith('-'))
      await ctx.run('mediagit', MEDIAGIT_REMOTE_ARGS.pull(branch), {
        ...{ cwd: to, env, secrets, ok: ANY },
        onLine: () => ctx.beat(),
      });
  return ObjectStore.open(join(to, '.mediagit/objects'));
}

async function remoteOf(plan: Plan, name: string, ctx: Context): Promise<Remote> {
  const remote = (await remotesOf(plan))[name];
  if (remote) return remote;
  throw ctx.fail('InvalidConfig', `config.toml has no remote ${name}`, { advice: 'add it with `mediagit remote add`' });
}

/** What the program must not be heard to say: the token, and the password of the address. */
function secretsOf(remote: Remote): string[] {
  return [remote.token ?? '', passwordOf(remote)].filter((secret) => secret !== '');
}

/** As it stands in the address. */
const passwordOf = ({ url }: Remote): string => (URL.canParse(url) ? new URL(url).password : '');

async function branchesOf(git: string): Promise<Map<string, string>> {
  const refs = (await readRefs(git)).filter(({ name, id }) => id !== undefined && name.startsWith(HEADS));
  return new Map(refs.map(({ name, id = '' }) => [name.slice(HEADS.length), id]));
}

/** What the remote itself says of its branches. Throws RemoteFailed. */
async function branchesAt({ url, token }: Remote, name: string, ctx: Context): Promise<Map<string, string>> {
  try {
    const at = new URL(`${url.replace(/\/+$/, '')}/info/refs`);
    const user = decodeURIComponent(`${at.username}:${at.password}`);
    Object.assign(at, { username: '', password: '' });
    const authorization = token ? `Bearer ${token}` : `Basic ${Buffer.from(user).toString('base64')}`;
    const answer = await fetch(at, {
      headers: token || user !== ':' ? { authorization } : {},
      // A token would go to somebody else.
      redirect: 'error',
      signal: AbortSignal.any([ctx.signal, AbortSignal.timeout(ANSWER_MS)]),
    });
    if (!answer.ok) throw ctx.fail('RemoteFailed', `the remote ${name} answered ${answer.status} about its refs`);
    const { refs } = Refs.parse(await answer.json());
    const branches = refs.filter((ref) => ref.name.startsWith(HEADS));
    return new Map(branches.map((ref) => [ref.name.slice(HEADS.length), ref.oid]));
  } catch (cause) {
    ctx.signal.throwIfAborted();
    if (isFailure(cause)) throw cause;
    throw ctx.fail('RemoteFailed', `the remote ${name} did not tell its refs`, {
      advice: 'look whether its server runs',
      cause,
    });
  }
}

/** A push writes into the repository (refs of the remote): what root writes there its owner could not write again. */
async function asOwner(
  git: string,
  secrets: string[],
  ctx: Context,
): Promise<(args: readonly string[]) => Promise<number>> {
  const { uid, gid } = await lstat(git);
  const other = process.getuid?.() === 0 && uid !== 0;
  const home = other ? (await ctx.run('getent', ['passwd', String(uid)], { ok: [0, 2] })).stdout.split(':')[5] : '';
  const before = ['--reuid', `${uid}`, '--regid', `${gid}`, '--clear-groups', '--pdeathsig', 'KILL', '--', 'mediagit'];
  const [program, prefix] = other ? ['setpriv', before] : ['mediagit', []];
  const env: Record<string, string> = home ? { HOME: home } : {};
  return async (args) =>
    (
      await ctx.run(program, [...prefix, ...args], {
        ...{ cwd: join(git, '..'), env, secrets, ok: ANY },
        onLine: () => ctx.beat(),
      })
    ).exitCode;
}
