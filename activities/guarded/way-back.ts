import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import picomatch from 'picomatch';
import { z } from 'zod';
import { isWithin } from '../../src/apps/coverage.js';
import { type FileSetSpec, type OperationSpec, type Plan, pathOf } from '../../src/core/plan.js';
import { ABOUT } from '../capture/arrange.js';
import { exists } from '../capture/copy.js';
import { databases } from '../databases/index.js';
import { Exchanged } from '../exchanged.js';
import type { UndoStep } from '../site/api.js';
import { writeDurable } from '../site/durable.js';
import type { Exchange } from '../steps/exchanges.js';
import { touches } from './shelter-tree.js';

/** How a guarded change is taken back: kept in the shelter, because what lies there moves away with the first rollback. */
const WayBack = z.strictObject({
  /** Where the operation's state goes. */
  aside: z.string(),
  exchanges: z.array(
    z.strictObject({
      live: z.string(),
      aside: z.string(),
      incoming: z.string().optional(),
      sidecars: z.array(z.string()),
    }),
  ),
  /** Directories that are exchanged entry by entry, and what was in them: anything newer is the operation's. */
  mixed: z.array(z.strictObject({ path: z.string(), to: z.string(), keep: z.array(z.string()) })),
  /** What the plan names and was not there. */
  absent: z.array(z.strictObject({ path: z.string(), to: z.string() })),
  /** Loaded beside the live ones, in their servers. */
  databases: z.array(Exchanged).default([]),
});
export type WayBack = z.infer<typeof WayBack>;

const fileIn = (site: string): string => join(site, ABOUT, 'way-back.json');

export async function readWayBack(site: string): Promise<WayBack> {
  return WayBack.parse(JSON.parse(await readFile(fileIn(site), 'utf8')));
}

export async function writeWayBack(site: string, way: WayBack): Promise<void> {
  await writeDurable(fileIn(site), JSON.stringify(way));
}

/** What a rollback does, seen from the state before the operation; `aside` is where the operation's state goes. */
export async function wayBack(
  exchanges: Exchange[],
  plan: Plan,
  operation: OperationSpec,
  aside: string,
  ours: readonly string[],
  served: readonly Exchanged[] = [],
): Promise<WayBack> {
  const to = (path: string) => join(aside, belowRoot(plan.root, path));
  const trees = plan.fileSets.filter(({ name, include }) => include.length === 0 && touches(operation, name));
  const mixed = new Set(
    exchanges
      .filter(({ live, incoming }) => incoming && trees.some(({ root }) => live !== root && isWithin(live, root)))
      .map(({ live }) => dirname(live)),
  );
  const others = untouched(plan, operation);
  const absent: string[] = [];
  for (const set of plan.fileSets.filter(({ name }) => touches(operation, name))) {
    for (const path of namedBy(set)) if (!(await exists(path))) absent.push(path);
  }
  return {
    aside,
    exchanges: exchanges.filter(({ incoming }) => incoming !== undefined),
    mixed: await Promise.all(
      [...mixed].map(async (path) => {
        const stay = others.filter((each) => each !== path && isWithin(each, path));
        const names = stay.map((each) => relative(path, each).split('/')[0] ?? '');
        return { path, to: to(path), keep: [...new Set([...(await readdir(path)), ...names, ...ours])] };
      }),
    ),
    absent: absent.map((path) => ({ path, to: to(path) })),
    databases: [...served],
  };
}

/** Paths that a set names, there or not. */
function namedBy({ root, include }: FileSetSpec): string[] {
  if (include.length === 0) return [root];
  return include.filter((pattern) => !picomatch.scan(pattern).isGlob).map((name) => join(root, name));
}

/** What stays although it may appear meanwhile: a log that is swept from beside its database takes writes along. */
function untouched(plan: Plan, operation: OperationSpec): string[] {
  const not = ({ name }: { name: string }) => !touches(operation, name);
  return [
    ...plan.databases.filter(not).flatMap((spec) => {
      const path = pathOf(spec);
      return path === undefined ? [] : [path, ...databases[spec.kind].sidecars(path)];
    }),
    ...plan.fileSets.filter(not).flatMap(namedBy),
  ];
}

/** As an undo list, replayed from its end: logs beside a database go before the database comes back, else they would be replayed into it. */
export function undoOf({ exchanges, mixed, absent, databases }: WayBack): UndoStep[] {
  return [
    ...exchanges.flatMap(({ live, aside, incoming = '', sidecars }): UndoStep[] => [
      { kind: 'rename', from: live, to: incoming, aside },
      ...sidecars.map((path): UndoStep => ({ kind: 'clear', path, to: sidecarIn(aside, path), unless: aside })),
    ]),
    ...mixed.map((dir): UndoStep => ({ kind: 'sweep', ...dir })),
    ...absent.map(({ path, to }): UndoStep => ({ kind: 'clear', path, to, unless: to })),
    ...databases.map((one): UndoStep => ({ kind: 'bringIn', ...one })),
  ];
}

/** As exchanges for a section of its own: the state from before comes in, all that the operation made goes aside. */
export async function toBefore({ exchanges, mixed, absent }: WayBack): Promise<Exchange[]> {
  const gone: Exchange[] = absent.map(({ path, to }) => ({ live: path, aside: to, sidecars: [] }));
  for (const { path, to, keep } of mixed)
    for (const name of await readdir(path).catch(() => []))
      if (!keep.includes(name)) gone.push({ live: join(path, name), aside: join(to, name), sidecars: [] });
  const taken = new Set(gone.map(({ live }) => live));
  const logs = exchanges.flatMap(({ aside, sidecars }) =>
    sidecars
      .filter((live) => !taken.has(live))
      .map((live): Exchange => ({ live, aside: sidecarIn(aside, live), sidecars: [] })),
  );
  return [...gone, ...logs, ...exchanges];
}

/**
 * The other way round: what a rollback put aside comes back, and what stands there now goes below `aside`, also where the
 * operation had removed it, and a log that belongs to the other database.
 */
export async function toAfter({ aside: from, exchanges, mixed, absent }: WayBack, aside: string): Promise<Exchange[]> {
  const turned = async (live: string, incoming: string, sidecars: string[] = []): Promise<Exchange> => {
    const away = { live, aside: join(aside, relative(from, incoming)) };
    return (await exists(incoming)) ? { ...away, incoming, sidecars } : { ...away, sidecars: [] };
  };
  const back: Exchange[] = [];
  for (const { live, aside: incoming, sidecars } of exchanges) {
    for (const log of sidecars) back.push(await turned(log, sidecarIn(incoming, log)));
    back.push(await turned(live, incoming, sidecars));
  }
  const known = new Set(back.map(({ live }) => live));
  for (const { path, to } of mixed)
    for (const name of await readdir(to).catch(() => []))
      if (![...known].some((live) => isWithin(live, join(path, name))))
        back.push(await turned(join(path, name), join(to, name)));
  for (const { path, to } of absent) if (await exists(to)) back.push(await turned(path, to));
  return back;
}

/** Why what an operation left cannot come back once a rollback has put it aside in a server. */
export function cannotReturn({ databases }: WayBack): string {
  const names = databases.map(({ spec }) => spec.name).join(', ');
  return `what it left in ${names} is kept in the server for 7 days, and is put back by hand`;
}

const sidecarIn = (aside: string, path: string): string => join(dirname(aside), basename(path));

function belowRoot(root: string, path: string): string {
  const inside = relative(root, path);
  return inside.startsWith('..') ? join('outside', path) : inside;
}
