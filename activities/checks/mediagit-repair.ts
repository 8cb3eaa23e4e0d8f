import { createHash, randomBytes } from 'node:crypto';
import { chmod, chown, copyFile, lstat, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { DAMAGED } from '../../src/apps/mediagit.js';
import type { Plan } from '../../src/core/plan.js';
import type { Context } from '../contracts.js';
import { syncDirectory } from '../site/durable.js';
import { applyDelta, type Kind, parseBase, parseManifest } from './mediagit-format.js';
import { placesOf } from './mediagit-live.js';
import { decode, hashOf, ObjectStore, read } from './mediagit-store.js';
import { type Finding, verifyRepository } from './mediagit-verify.js';

/** Where a file of the live site was brought to from a snapshot; files that it does not hold are absent. */
export type FromSnapshot = (paths: string[]) => Promise<ReadonlyMap<string, string>>;

/** Bases and chunks first: what is made of them can be held against its name only then. */
const ORDER: Kind[] = ['chunk', 'object', 'chunk-delta', 'delta', 'manifest'];
const MOST_ROUNDS = 20;

/** What of the live repository is damaged or missing, and which refs lead nowhere. An object that gc removes meanwhile is none of these. */
export async function lookAtLive(plan: Plan, part: { n: number; of: number }, ctx: Context): Promise<string[]> {
  const { git, objects, options } = placesOf(plan);
  if (options.storage === 'cloud') return [];
  const store = await ObjectStore.open(objects);
  const found: Finding[] = [];
  const keep = (finding: Finding) => {
    const lost = finding.state === 'missing' && options.knownLost.includes(finding.id);
    if ((finding.state === 'damaged' || finding.state === 'missing') && !lost) found.push(finding);
  };
  const { refs, ways } = await verifyRepository({ git, store }, part, keep, ctx);
  const bad: string[] = [];
  for (const finding of found) {
    const of = ways.get(finding.id) ?? finding.of;
    const there = await lstat(finding.path).catch(() => undefined);
    if (finding.state === 'missing' || there) bad.push(nameOf({ ...finding, ...(of ? { of } : {}) }));
  }
  return [...bad, ...refs.flatMap(({ name, broken }) => (broken ? [`${name} ${broken}`] : []))];
}

/**
 * Brings missing and damaged objects of the live repository back, and touches nothing else: each is held against its name beside its
 * place before it goes there, and a damaged one is put aside, never deleted.
 */
export async function repairMediagit(plan: Plan, fetch: FromSnapshot, ctx: Context) {
  const places = placesOf(plan);
  const store = await ObjectStore.open(places.objects);
  const left = new Map<string, Finding>();
  const keep = (finding: Finding) => {
    if (finding.state === 'damaged' || (finding.state === 'missing' && !places.options.knownLost.includes(finding.id)))
      left.set(`${finding.kind} ${finding.id}`, finding);
  };
  const broken = new Set<string>();
  const look = async () => {
    left.clear();
    broken.clear();
    const { refs } = await verifyRepository({ git: places.git, store }, { n: 1, of: 1 }, keep, ctx);
    for (const { name, id, broken: why } of refs) {
      if (why && id)
        keep({ kind: 'object', id, path: (await store.find('object', id)).path, of: name, state: 'missing' });
      else if (why) broken.add(`${name} ${why}`);
    }
  };
  const repaired: string[] = [];
  const tried = new Set<string>();
  await look();
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const now = [...left].filter(([key]) => !tried.has(key)).map(([, finding]) => finding);
    if (now.length === 0) break;
    const mend = new Mender(store, places.git, fetch, ctx);
    await mend.bring(now);
    const before = repaired.length;
    for (const finding of now.sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind))) {
      tried.add(`${finding.kind} ${finding.id}`);
      if (await mend.one(finding)) repaired.push(nameOf(finding));
    }
    if (repaired.length === before) break;
    // Behind what came back there may be more; and that it is whole now is seen, not believed.
    await look();
  }
  return { repaired, left: [...[...left.values()].map(nameOf), ...broken] };
}

function nameOf({ state, kind, id, of }: Finding): string {
  return `${state} ${kind} ${id.slice(0, 12)}${of ? ` (${of})` : ''}`;
}

class Mender {
  private readonly got = new Map<string, string>();

  constructor(
    private readonly store: ObjectStore,
    private readonly git: string,
    private readonly fetch: FromSnapshot,
    private readonly ctx: Context,
  ) {}

  /** All forms in which a snapshot may have an object: whole, as a delta, as chunks. */
  async bring(findings: Pick<Finding, 'kind' | 'id'>[]): Promise<void> {
    const paths: string[] = [];
    for (const { kind, id } of findings)
      for (const form of formsOf(kind)) {
        const { path } = await this.store.find(form, id);
        paths.push(path, ...(form.endsWith('delta') ? [`${path}.meta`] : []));
      }
    for (const [path, from] of await this.fetch([...new Set(paths)])) this.got.set(path, from);
  }

  async one({ kind, id }: Pick<Finding, 'kind' | 'id'>): Promise<boolean> {
    for (const form of formsOf(kind)) {
      const { path } = await this.store.find(form, id);
      const from = this.got.get(path);
      if (from === undefined) continue;
      this.ctx.beat();
      if (
        form.endsWith('delta')
          ? await this.delta(form as 'delta', id, path, from)
          : await this.whole(form, id, path, from)
      )
        return true;
    }
    return false;
  }

  private async whole(kind: Kind, id: string, path: string, from: string): Promise<boolean> {
    const good = (at: string) =>
      kind === 'manifest' ? this.makes(at, id) : hashOf({ path: at, kind }, this.ctx).then((hash) => hash === id);
    return this.place(from, path, good);
  }

  /** A manifest is good where its chunks, which come back before it, are the file that it is named by. */
  private async makes(manifest: string, id: string): Promise<boolean> {
    const hash = createHash('sha256');
    try {
      const { chunks } = parseManifest(await read({ path: manifest, kind: 'manifest', id }, this.ctx));
      const lacking: Pick<Finding, 'kind' | 'id'>[] = [];
      for (const chunk of chunks) if (!(await this.has(chunk.id))) lacking.push({ kind: 'chunk', id: chunk.id });
      if (lacking.length > 0) await this.bring(lacking);
      for (const chunk of lacking) if (!(await this.one(chunk))) return false;
      for (const chunk of chunks) {
        const { path, there } = await this.store.find('chunk', chunk.id);
        if (there) await decode({ path, kind: 'chunk' }, (piece) => hash.update(piece), this.ctx);
        else hash.update(await this.store.content('chunk', chunk.id, this.ctx));
      }
    } catch (error) {
      this.ctx.signal.throwIfAborted();
      if ((error as { type?: string }).type !== undefined) throw error;
      return false;
    }
    return hash.digest('hex') === id;
  }

  private async has(chunk: string): Promise<boolean> {
    return (await this.store.find('chunk', chunk)).there || (await this.store.find('chunk-delta', chunk)).there;
  }

  private async delta(kind: 'delta' | 'chunk-delta', id: string, path: string, from: string): Promise<boolean> {
    const meta = this.got.get(`${path}.meta`);
    const base = meta === undefined ? undefined : parseBase(await readFile(meta, 'utf8'));
    if (meta === undefined || base === undefined) return false;
    const good = async (at: string): Promise<boolean> => {
      try {
        const of = await this.store.content(kind === 'delta' ? 'object' : 'chunk', base, this.ctx);
        const made = applyDelta(of, await read({ path: at, kind, id }, this.ctx));
        return createHash('sha256').update(made).digest('hex') === id;
      } catch (error) {
        this.ctx.signal.throwIfAborted();
        if ((error as { type?: string }).type !== undefined) throw error;
        return false;
      }
    };
    const known = async (at: string) => parseBase(await readFile(at, 'utf8')) === base;
    return (
      (await good(from)) && (await this.place(meta, `${path}.meta`, known)) && (await this.place(from, path, good))
    );
  }

  /** Beside its place, durable, judged there; what is damaged goes aside, and then one rename. */
  private async place(from: string, path: string, good: (at: string) => Promise<boolean>): Promise<boolean> {
    const live = await lstat(path).catch(() => undefined);
    if (live && (await good(path))) return true;
    await mkdir(dirname(path), { recursive: true });
    // What a killed `add` leaves is called so: nothing takes it for an object.
    const beside = `${path}.tmp${randomBytes(4).readUInt32BE()}`;
    try {
      await copyFile(from, beside);
      const { mode, uid, gid } = await stat(from);
      if (process.getuid?.() === 0) await chown(beside, uid, gid);
      await chmod(beside, mode & 0o7777);
      const file = await open(beside, 'r');
      await file.sync().finally(() => file.close());
      if (!(await good(beside))) return false;
      if (live) await this.aside(path);
      await rename(beside, path);
    } finally {
      await rm(beside, { force: true });
    }
    await syncDirectory(dirname(path));
    return true;
  }

  private async aside(path: string): Promise<void> {
    const dir = join(this.git, DAMAGED);
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const name = `${basename(path)}.${new Date().toISOString().replace(/[-:]/g, '')}`;
    await rename(path, join(dir, name)).catch(async (error: NodeJS.ErrnoException) => {
      // Objects may lie on a disk of their own.
      if (error.code !== 'EXDEV') throw error;
      await copyFile(path, join(dir, name));
    });
  }
}

function formsOf(kind: Kind): Kind[] {
  if (kind === 'chunk' || kind === 'chunk-delta') return ['chunk', 'chunk-delta'];
  return kind === 'manifest' ? ['manifest'] : ['object', 'delta', 'manifest'];
}
