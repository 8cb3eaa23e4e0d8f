import { isAbsolute } from 'node:path';
import type { z } from 'zod';
import type { Context, Engine, ListedFile } from '../contracts.js';
import {
  atLeast,
  LsHead,
  LsNode,
  literal,
  parseLine,
  parsePruned,
  parseVersion,
  RESTIC_FLOOR,
  Stats,
} from '../tools/restic.js';
import { IDLE_MS, lines, pulsing } from './lines.js';
import { assertMounted, writeNote } from './location.js';
import { backup } from './restic-backup.js';
import { callOf, failureOf, restic, stalled } from './restic-session.js';
import { snapshotsOf } from './restic-snapshots.js';
import { passwordLines, quote, resticEnvironment } from './shell.js';
import { countRestored } from './walk.js';

/** How long a repository may take to say whether it is there: restic itself would try for 15 minutes. */
const ANSWER_MS = 2 * 60_000;

async function version(ctx: Context): Promise<[number, number, number]> {
  const { stdout } = await ctx.run('restic', ['version'], { timeoutMs: 30_000 });
  const found = parseVersion(stdout);
  if (!found || !atLeast(found, RESTIC_FLOOR))
    throw ctx.fail('ToolTooOld', `restic ${found?.join('.') ?? 'of an unknown version'} is older than 0.14`);
  return found;
}

/** restic, 0.14 and newer. Data is encrypted and deduplicated always; it keeps modes, owners, times, xattrs (ACLs too) and hard links. */
export const resticEngine: Engine = {
  name: 'restic',
  abilities: { incremental: true, differential: false, publicKey: false, xattrs: true, dedup: true, appendOnly: true },

  preflight: async (_repo, ctx) => ({ restic: (await version(ctx)).join('.') }),

  async open(repo, ctx) {
    await restic(repo, ['cat', 'config', '--no-lock', '--quiet'], ctx, { options: { timeoutMs: ANSWER_MS } });
  },

  async init(repo, ctx) {
    await assertMounted(repo, ctx);
    const { flags, options } = await callOf(repo, ctx);
    const there = await ctx
      .run('restic', ['cat', 'config', '--no-lock', '--quiet', ...flags], { ...options, timeoutMs: ANSWER_MS })
      .catch(stalled(repo, 'init', ctx));
    const failure = failureOf(repo, 'init', there, ctx);
    if (!failure) return;
    // Never over one that is only away or closed to us: then it would be created beside the real one.
    if ((failure as { type?: string }).type !== 'RepositoryMissing') throw failure;
    await pulsing(ctx, () => restic(repo, ['init'], ctx));
  },

  backup,
  list: (repo, siteId, ctx) => snapshotsOf(repo, siteId, ctx),

  async sites(repo, ctx) {
    return [...new Set((await snapshotsOf(repo, undefined, ctx)).map(({ siteId }) => siteId))].sort();
  },

  async *contents(repo, snapshot, ctx) {
    await assertMounted(repo, ctx);
    const { flags, options } = await callOf(repo, ctx);
    const args = ['ls', snapshot, '--json', '--no-lock', ...flags];
    let paths: Set<string> | undefined;
    const judge = (result: Parameters<typeof failureOf>[2]): void => {
      const failure = failureOf(repo, 'ls', result, ctx);
      if (failure) throw failure;
      // 0.14 says "no matching ID" and ends with 0.
      if (!paths) throw ctx.fail('SnapshotMissing', `repository ${repo.name} has no such snapshot`);
    };
    for await (const line of lines(ctx, 'restic', args, options, judge)) {
      const json = parseLine(line);
      paths ??= head(json);
      const node = LsNode.safeParse(json).data;
      // The directories above the paths are listed too, but nobody asked for them.
      if (node && paths && below(node.path, paths)) yield listed(node);
    }
  },

  async restore(repo, snapshot, target, { paths, workDir }, ctx) {
    const sparse = atLeast(await version(ctx), [0, 15]) ? ['--sparse'] : [];
    const include = (paths ?? []).flatMap((path) => ['--include', literal(path)]);
    const args = ['restore', snapshot, '--target', target, ...sparse, ...include];
    // restic goes on for minutes, and ends as any tool that failed.
    const onErrorLine = (line: string): void => {
      if (/Load\(<data\/.*(no such file|does not exist|NoSuchKey)/i.test(line))
        throw ctx.fail('RepositoryDamaged', `repository ${repo.name} lacks data of this snapshot`);
    };
    const options = { idleMs: IDLE_MS, onErrorLine };
    const run = (more: string[]) => restic(repo, [...args, ...more], ctx, { workDir, options });
    await pulsing(ctx, () =>
      run([]).catch((error) => {
        // A disk that is mounted read-only takes no lock, but must give back what it has.
        if (!/read-only file system/.test(String(error?.details?.[0]?.stderrTail))) throw error;
        return run(['--no-lock']);
      }),
    );
    return countRestored(target, paths, ctx);
  },

  async check(repo, depth, part, ctx) {
    const n = ((part.n - 1) % part.of) + 1;
    const more = {
      structure: [],
      sample: ['--read-data-subset', `${n}/${part.of}`],
      full: ['--read-data'],
    }[depth];
    await pulsing(ctx, () => restic(repo, ['check', ...more], ctx));
    const read = {
      structure: 'structure',
      sample: `structure and share ${n} of ${part.of} of the data`,
      full: 'all data',
    };
    return { said: `restic check read ${read[depth]} without an error` };
  },

  async forget(repo, ids, ctx) {
    const there = new Set((await snapshotsOf(repo, undefined, ctx)).map(({ id }) => id));
    const still = ids.filter((id) => there.has(id));
    // What an interrupted attempt forgot already is still to be pruned.
    const args = still.length ? ['forget', '--prune', ...still] : ['prune'];
    return { freedBytes: parsePruned((await pulsing(ctx, () => restic(repo, args, ctx))).stdout) };
  },

  async stats(repo, ctx) {
    const { stdout } = await restic(repo, ['stats', '--json', '--mode', 'raw-data', '--no-lock'], ctx);
    const parsed = Stats.safeParse(stdout.split('\n').map(parseLine).find(Boolean));
    if (!parsed.success) throw ctx.fail('ToolFailed', `restic stats of ${repo.name} are not what they should be`);
    const snapshots = parsed.data.snapshots_count ?? (await snapshotsOf(repo, undefined, ctx)).length;
    return { bytes: parsed.data.total_size, snapshots };
  },

  restoreCommands: (repo, { captureId }) => [
    ...resticEnvironment(repo),
    ...passwordLines(repo),
    'mkdir -p ./restored',
    `restic restore latest --tag ${quote(`capture=${captureId}`)} --target ./restored`,
  ],

  async leaveNote(repo, name, text, ctx) {
    if (isAbsolute(repo.location)) await writeNote(repo, name, text, ctx);
  },
};

function head(json: unknown): Set<string> | undefined {
  const found = LsHead.safeParse(json).data;
  return found && new Set(found.paths);
}

function below(path: string, paths: ReadonlySet<string>): boolean {
  for (let at = path; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) if (paths.has(at)) return true;
  return paths.has('/');
}

const TYPES: Record<string, ListedFile['type']> = { file: 'f', dir: 'd', symlink: 'l' };

function listed({ path, type, size, mtime }: z.infer<typeof LsNode>): ListedFile {
  const kind = TYPES[type] ?? 'o';
  return { path, type: kind, size: kind === 'f' ? (size ?? 0) : 0, mtimeMs: Date.parse(mtime) };
}
