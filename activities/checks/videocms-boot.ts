import { chmod, mkdir, readdir, rm } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import { isWithin } from '../../src/apps/coverage.js';
import type { Check } from '../../src/core/report.js';
import { ABOUT } from '../capture/arrange.js';
import { exists } from '../capture/copy.js';
import { sha256Of } from '../capture/lines.js';
import type { Context, Restored } from '../contracts.js';
import { findProgram } from '../tools/programs.js';
import { rows, sqlite } from '../tools/sqlite.js';
import { PROBE, type ProbeAnswer, type ProbeJob } from './videocms-probe.js';
import { placesOf, type RenditionRow } from './videocms-rows.js';

const WAIT_MS = 60_000;
const HOST = '127.0.0.1:3000';
/** What would reach the network or change media, as columns of the one row of `settings`. */
const SWITCHES = [
  'encoding_enabled',
  'remote_download_enabled',
  'upload_enabled',
  'cloudflare_enabled',
  'bunny_cdn_enabled',
  'fastly_enabled',
  'key_cdn_enabled',
  'enable_plugin_pgs_server',
];
/** The program's own files: left out of backups, and looked for in its working directory. */
const PROGRAM = ['views', 'public'];

/** Starts the restored VideoCMS in a network of its own on a copy, asks for its config, and plays one segment. */
export async function bootVideocms(restored: Restored, ctx: Context): Promise<Check[]> {
  const why = await whyNot(restored);
  if (why) {
    ctx.note(`the application was not started: ${why}`);
    return [];
  }
  const tree = join(restored.scratch, 'boot');
  await makeTree(tree, restored, ctx);
  const played = await pick(join(tree, relative(restored.plan.root, placesOf(restored.plan).database)), restored, ctx);
  const answer = await probe(tree, played, restored, ctx);
  await rm(tree, { recursive: true, force: true });
  if (answer === undefined) return [];
  return [
    {
      name: 'boot: /api/config',
      ok: answer.config === 200,
      evidence:
        answer.config === 200
          ? 'the restored application answers'
          : `it ${answer.ended === undefined ? `did not answer in ${WAIT_MS / 1000} s` : `ended by itself (${answer.ended})`}`,
    },
    ...(played && answer.config === 200 ? [await playedCheck(answer, played)] : []),
  ];
}

async function whyNot({ plan }: Restored): Promise<string | undefined> {
  if (!plan.restoreTest.start) return 'restoreTest.start names no command';
  if (process.getuid?.() !== 0) return 'a network namespace of its own needs root';
  for (const program of ['unshare', 'ip']) if (!findProgram(program)) return `the program ${program} is not installed`;
  if (!isWithin(placesOf(plan).media, plan.root)) return "the media lie outside the site's root";
  return undefined;
}

/** Media by hard links, as VideoCMS only ever replaces or removes them; the database as a copy, with all that acts outward off. */
async function makeTree(tree: string, restored: Restored, ctx: Context): Promise<void> {
  const { plan, relocate } = restored;
  await rm(tree, { recursive: true, force: true });
  await mkdir(tree, { mode: 0o700 });
  const names = (await readdir(restored.root)).filter((name) => name !== ABOUT);
  await ctx.run('cp', ['-al', '--', ...names.map((name) => join(restored.root, name)), tree]);
  for (const name of PROGRAM) {
    const own = join(plan.root, name);
    if ((await exists(own)) && !(await exists(join(tree, name)))) await ctx.run('cp', ['-a', '--', own, tree]);
  }
  const { database } = placesOf(plan);
  const copy = join(tree, relative(plan.root, database));
  await rm(copy, { force: true });
  await ctx.run('cp', ['--reflink=auto', '--', relocate(database), copy]);
  await chmod(copy, 0o600);
  const columns: string[] = [];
  const query = "SELECT json_object('name', name) FROM pragma_table_info('settings')";
  for await (const { name } of rows<{ name: string }>(copy, query, 'frozen', ctx)) columns.push(name);
  const off = SWITCHES.filter((name) => columns.includes(name)).map((name) => `${name} = 'false'`);
  if (off.length > 0) await sqlite(copy, `UPDATE settings SET ${off.join(', ')};`, { access: 'write' }, ctx);
}

interface Played {
  link: string;
  playlist: string;
  /** The rendition's folder in the restored tree. */
  folder: string;
}

/** A live link with a rendition that is ready; none on a site without a video. */
async function pick(database: string, restored: Restored, ctx: Context): Promise<Played | undefined> {
  const query = `SELECT json_object('link', l.uuid, 'uuid', f.uuid, 'folder', f.folder, 'path', q.path, 'output', q.output_file)
    FROM links l JOIN files f ON f.id = l.file_id JOIN qualities q ON q.file_id = f.id
    WHERE l.deleted_at IS NULL AND f.deleted_at IS NULL AND q.deleted_at IS NULL AND q.ready = 1 ORDER BY l.id LIMIT 1`;
  const places = placesOf(restored.plan);
  let played: Played | undefined;
  for await (const row of rows<RenditionRow & { link: string }>(database, query, 'write', ctx)) {
    const folder = places.rendition(row);
    const below = relative(places.folder(row.uuid), folder);
    const playlist = `/videos/qualitys/${row.link}/${below}/${row.output}`;
    played = { link: row.link, playlist, folder: restored.relocate(folder) };
  }
  return played;
}

async function probe(
  tree: string,
  played: Played | undefined,
  { plan, scratch }: Restored,
  ctx: Context,
): Promise<ProbeAnswer | undefined> {
  const start = plan.restoreTest.start;
  if (!start) return undefined;
  const home = join(scratch, 'home');
  await mkdir(home, { recursive: true, mode: 0o700 });
  // An argument that names a file of the site is the restored one; the program itself, which is in no backup, is taken
  // from where it is installed.
  const inTree = async (argument: string) => {
    if (!argument.includes('/')) return argument;
    const path = resolve(plan.root, argument);
    const restored = resolve(tree, relative(plan.root, path));
    if (isWithin(path, plan.root) && (await exists(restored))) return restored;
    return (await exists(path)) ? path : argument;
  };
  const argv = await Promise.all(start.argv.map(inTree));
  const options = placesOf(plan).options;
  const env: Record<string, string> = {
    HOME: home,
    Host: HOST,
    FolderVideoQualitysPriv: options.qualitys,
    FolderVideoUploadsPriv: options.uploads,
  };
  const secretEnv: Record<string, string> = {};
  for (const [name, value] of Object.entries(start.env ?? {})) {
    if (typeof value === 'string') env[name] = value;
    else secretEnv[name] = await ctx.secret(value);
  }
  const cwd = start.cwd === undefined ? tree : await inTree(start.cwd);
  const { link, playlist } = played ?? {};
  const job: ProbeJob = {
    argv,
    cwd,
    base: `http://127.0.0.1:${portOf(env.Host ?? HOST)}`,
    waitMs: WAIT_MS,
    ...(link && playlist ? { link, playlist } : {}),
  };
  const namespaces = ['--net', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const inside = ['sh', '-c', 'ip link set lo up && exec "$0" -', process.execPath];
  const { stdout, stderrTail, exitCode } = await ctx.run('unshare', [...namespaces, ...inside], {
    cwd: tree,
    env: { ...env, HOLDFAST_PROBE: JSON.stringify(job) },
    secretEnv,
    input: PROBE,
    ok: [0, 1, 2],
    timeoutMs: WAIT_MS + 60_000,
  });
  if (exitCode === 0) return JSON.parse(stdout) as ProbeAnswer;
  // unshare says so before it starts anything: no rights, or a machine without such namespaces.
  if (!/^unshare: /m.test(stderrTail))
    throw ctx.fail('ToolFailed', 'the namespace for the restored application failed');
  ctx.note('the application was not started: this machine allows no namespaces');
  return undefined;
}

/** The port of VideoCMS's `Host`: `:3000`, `127.0.0.1:3000`. In its own network it has every port for itself. */
function portOf(host: string): string {
  return host.slice(host.lastIndexOf(':') + 1);
}

/** The bytes that came over HTTP are those of the restored file. */
async function playedCheck({ segment, error }: ProbeAnswer, { folder }: Played): Promise<Check> {
  const name = 'boot: one segment played';
  if (segment?.status !== 200) return { name, ok: false, evidence: error ?? `the segment answered ${segment?.status}` };
  const file = join(folder, basename(segment.name));
  const ok = (await sha256Of(file).catch(() => '')) === segment.sha256;
  const guarded = segment.withoutCookie === 401 ? '; 401 without its cookie' : '';
  return ok
    ? { name, ok, evidence: `${segment.bytes} bytes, equal to the restored file${guarded}` }
    : { name, ok, evidence: 'what was played is not the restored file', places: [file] };
}
