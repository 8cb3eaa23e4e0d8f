import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Check } from '../../src/core/report.js';
import type { Context, Restored } from '../contracts.js';
import { findProgram } from '../tools/programs.js';
import { parseConfig, rewriteConfig } from './mediagit-config.js';
import { parseCommit, parseTree } from './mediagit-format.js';
import { readRefs } from './mediagit-refs.js';
import { restoredPlaces } from './mediagit-rules.js';
import { hashOf, ObjectStore } from './mediagit-store.js';
import { eachLimited, tally } from './tally.js';

/** All that Holdfast ever asks of the program. Its fsck with --repair, and gc, delete objects: they stand nowhere. */
export const MEDIAGIT_ARGS = {
  checkout: (id: string) => ['reset', '--hard', id],
  signals: [['fsck'], ['verify', 'HEAD'], ['log', '--oneline', '-5']],
} as const;

/**
 * Where the program is installed, it works on a copy whose config knows neither the original's objects nor any remote: a checkout of
 * each branch, file by file against its tree, and what its own checks say. These lie about much; that they fail counts all the same.
 */
export async function checkoutChecks(restored: Restored, ctx: Context): Promise<Check[]> {
  const { options, git, objects } = restoredPlaces(restored);
  if (options.storage === 'cloud') return [];
  if (!findProgram('mediagit')) {
    ctx.note('the program mediagit is not installed here: the copy was judged by our own reading of it alone');
    return [];
  }
  const tree = join(restored.scratch, 'mediagit');
  await copy(git, objects, tree, ctx);
  const own = join(tree, '.mediagit');
  const store = await ObjectStore.open(join(own, 'objects'));
  const env = { HOME: join(restored.scratch, 'home') };
  await mkdir(env.HOME, { recursive: true, mode: 0o700 });
  const run = async (args: readonly string[]) =>
    (
      await ctx.run('mediagit', args, {
        cwd: tree,
        env,
        ok: Array.from({ length: 256 }, (_, i) => i),
        onLine: () => ctx.beat(),
      })
    ).exitCode;
  const checks: Check[] = [];
  const refs = (await readRefs(own)).filter(({ name, broken }) => name.startsWith('refs/heads/') && !broken);
  for (const { name, id = '' } of refs) {
    for (const entry of await readdir(tree))
      if (entry !== '.mediagit') await rm(join(tree, entry), { recursive: true });
    const code = await run(MEDIAGIT_ARGS.checkout(id));
    checks.push(await compared(name, id, code, store, tree, ctx));
  }
  for (const args of MEDIAGIT_ARGS.signals) {
    const code = await run(args);
    const evidence = code === 0 ? 'ends with 0, which alone proves nothing' : `ends with ${code}`;
    checks.push({ name: `mediagit ${args.join(' ')}`, ok: code === 0, evidence });
  }
  await rm(tree, { recursive: true, force: true });
  return checks;
}

/** Objects by hard links, as they are never written again; all else as a copy of its own. */
async function copy(git: string, objects: string, tree: string, ctx: Context): Promise<void> {
  await rm(tree, { recursive: true, force: true });
  const own = join(tree, '.mediagit');
  await mkdir(own, { recursive: true, mode: 0o700 });
  const names = (await readdir(git)).filter((name) => name !== 'objects' && name !== '.holdfast');
  if (names.length > 0) await ctx.run('cp', ['-a', '--', ...names.map((name) => join(git, name)), own]);
  await ctx.run('cp', ['-al', '--', objects, join(own, 'objects')]);
  const config = join(own, 'config.toml');
  const text = rewriteConfig(await readFile(config, 'utf8').catch(() => ''), join(own, 'objects'), false);
  const { basePath } = parseConfig(text);
  if (basePath !== undefined && basePath !== join(own, 'objects'))
    throw ctx.fail('Unexpected', 'base_path of the copy could not be rewritten: the program would read the original');
  await rm(config, { force: true });
  await writeFile(config, text, { mode: 0o600 });
}

async function compared(
  name: string,
  id: string,
  code: number,
  store: ObjectStore,
  tree: string,
  ctx: Context,
): Promise<Check> {
  const found = tally();
  if (code !== 0) found.bad(`mediagit reset --hard ended with ${code}`);
  const { tree: of } = parseCommit(await store.content('object', id, ctx));
  await eachLimited(entriesOf(await store.content('object', of, ctx)), async (entry) => {
    // A link's target and a directory are no file content.
    if (entry.mode > 1) return;
    // A file of the work tree is content as it is.
    const hash = await hashOf({ path: join(tree, entry.path), kind: 'manifest' }, ctx).catch(() => undefined);
    if (hash === entry.id) found.good();
    else found.bad(entry.path);
  });
  return found.check(`checkout of ${name}`, (seen) => `${seen} files are what the commit says`);
}

async function* entriesOf(data: Buffer) {
  yield* parseTree(data);
}
