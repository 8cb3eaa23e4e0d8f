import { relative, resolve } from 'node:path';
import { z } from 'zod';
import { NAME } from '../core/names.js';
import { pathOf } from '../core/plan.js';
import type { App } from './contract.js';
import { isWithin, literal, uncovered } from './coverage.js';
import { DatabaseOptions, databaseName, databaseSpec, isOnline } from './generic-databases.js';

const name = z.string().regex(NAME, 'must be a name of lower-case letters, digits and dashes');
const path = z.string().min(1, 'must not be empty');
const patterns = z.array(z.string().min(1)).default([]);

const FilesOptions = z.strictObject({
  name: name.describe('What reports call this set of files.'),
  path: path.default('.').describe('Its directory, relative to root.'),
  include: patterns.describe('Paths or globs below that directory; none means everything.'),
  exclude: patterns.describe('Paths or globs below that directory to leave out.'),
  change: z
    .enum(['mutable', 'immutable', 'live'])
    .default('mutable')
    .describe(
      '`mutable`: copied while the application is stopped. `immutable`: files are written once and never changed, so they are stored after the restart. `live`: stored after the restart too, and may change or go meanwhile.',
    ),
  optional: z.boolean().default(false).describe('Its absence is no error.'),
  mayBeEmpty: z.boolean().default(false).describe('No file in it is no error.'),
});

export const GenericOptions = z
  .strictObject({
    databases: z.array(DatabaseOptions).default([]).describe('Databases to dump.'),
    files: z
      .array(FilesOptions)
      .optional()
      .describe('Sets of files; by default everything below root that is no database.'),
    exclude: patterns.describe('Paths or globs below root, and volumes, that need no backup.'),
  })
  .superRefine(together, { when: () => true });
export type GenericOptions = z.infer<typeof GenericOptions>;

/** What must hold of several parts. Looked at whatever else is wrong, so that one pass shows every mistake: of what is right in itself. */
function together(written: unknown, ctx: z.RefinementCtx): void {
  const say = (path: (string | number)[], message: string) => ctx.addIssue({ code: 'custom', path, message });
  const { databases: all = [], files: sets } = (written ?? {}) as { databases?: unknown[]; files?: unknown[] };
  const databases = (Array.isArray(all) ? all : []).map((one) => DatabaseOptions.safeParse(one).data);
  const files = Array.isArray(sets) ? sets.map((one) => FilesOptions.safeParse(one).data) : undefined;
  const parts = [
    ...databases.map((one, i) => ({ name: one && databaseName(one), path: ['databases', i, 'name'] })),
    ...(files?.map((one, i) => ({ name: one?.name, path: ['files', i, 'name'] })) ?? []),
  ];
  parts.forEach(({ name, path }, i) => {
    if (name !== undefined && parts.findIndex((other) => other.name === name) < i)
      say(path, `"${name}" stands twice; give each its own`);
  });
  if (databases.length === 0 && files?.length === 0)
    say(['files'], 'nothing would be backed up; name a database or files');
  if (databases.some((one) => one?.kind === 'http'))
    databases.forEach((one, i) => {
      if (one && !isOnline(one))
        say(['databases', i, 'mode'], 'must be online: an export over HTTP needs the application to run');
    });
}

/** Any application: its databases and files as the config names them. Databases are never taken as plain files. */
export const generic: App<GenericOptions> = {
  name: 'generic',
  about: 'Any application: databases and files as you name them.',
  options: GenericOptions,
  plan({ root, options }, facts) {
    const databases = options.databases.map((one) => databaseSpec(one, root, facts));
    const paths = databases.flatMap((one) => pathOf(one) ?? []);
    const everything = FilesOptions.parse({ name: 'files' });
    const fileSets = (options.files ?? [everything]).map(({ path: below, ...set }) => {
      const at = resolve(root, below);
      const inside = paths.filter((one) => isWithin(one, at)).map((one) => literal(relative(at, one)));
      return {
        ...set,
        root: at,
        exclude: [
          ...set.exclude,
          ...(at === resolve(root) ? options.exclude : []),
          ...inside.flatMap((one) => [one, `${one}-wal`, `${one}-shm`, `${one}-journal`]),
        ],
      };
    });
    return {
      databases,
      fileSets,
      uncovered: uncovered(root, facts, {
        databases: paths,
        fileSets: [...fileSets, { root, include: options.exclude, exclude: [] }].filter(
          // Without a pattern that last one would account for everything.
          (set, i) => i < fileSets.length || set.include.length > 0,
        ),
        leftOut: options.exclude,
      }),
    };
  },
};
