import { relative, resolve } from 'node:path';
import { z } from 'zod';
import { NAME } from '../core/names.js';
import type { App } from './contract.js';
import { isWithin, literal, nameOf, uncovered } from './coverage.js';

const name = z.string().regex(NAME, 'must be a name of lower-case letters, digits and dashes');
const path = z.string().min(1, 'must not be empty');
const patterns = z.array(z.string().min(1)).default([]);

const DatabaseOptions = z.strictObject({
  kind: z.literal('sqlite').describe('What kind of database it is.'),
  path: path.describe('The database, relative to root.'),
  name: name.optional().describe('What reports call it; by default from its file name.'),
  format: z.enum(['file', 'sql']).default('file').describe('How it is kept: as the file itself, or as SQL text.'),
  mode: z
    .enum(['stopped', 'online'])
    .default('stopped')
    .describe('`online` takes it without stopping the application (VACUUM INTO).'),
});

const FilesOptions = z.strictObject({
  name: name.describe('What reports call this set of files.'),
  path: path.default('.').describe('Its directory, relative to root.'),
  include: patterns.describe('Paths or globs below that directory; none means everything.'),
  exclude: patterns.describe('Paths or globs below that directory to leave out.'),
  change: z
    .enum(['mutable', 'immutable'])
    .default('mutable')
    .describe('`immutable`: files are written once and never changed, so they are stored after the restart.'),
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
  .superRefine(({ databases, files }, ctx) => {
    const twice = (names: string[], key: string) =>
      names.forEach((one, i) => {
        if (names.indexOf(one) < i)
          ctx.addIssue({ code: 'custom', path: [key, i, 'name'], message: `"${one}" stands twice; give each its own` });
      });
    twice(
      databases.map((one) => one.name ?? nameOf(one.path)),
      'databases',
    );
    twice(files?.map((one) => one.name) ?? [], 'files');
    if (databases.length === 0 && files?.length === 0)
      ctx.addIssue({
        code: 'custom',
        path: ['files'],
        message: 'nothing would be backed up; name a database or files',
      });
  });
export type GenericOptions = z.infer<typeof GenericOptions>;

/** Any application: its databases and files as the config names them. Databases are never taken as plain files. */
export const generic: App<GenericOptions> = {
  name: 'generic',
  about: 'Any application: databases and files as you name them.',
  options: GenericOptions,
  plan({ root, options }, facts) {
    const databases = options.databases.map((one) => ({
      kind: one.kind,
      name: one.name ?? nameOf(one.path),
      path: resolve(root, one.path),
      format: one.format,
      mode: one.mode,
    }));
    const everything = FilesOptions.parse({ name: 'files' });
    const fileSets = (options.files ?? [everything]).map(({ path: below, ...set }) => {
      const at = resolve(root, below);
      const inside = databases.filter((one) => isWithin(one.path, at)).map((one) => literal(relative(at, one.path)));
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
        databases: databases.map((one) => one.path),
        fileSets: [...fileSets, { root, include: options.exclude, exclude: [] }].filter(
          // Without a pattern that last one would account for everything.
          (set, i) => i < fileSets.length || set.include.length > 0,
        ),
        leftOut: options.exclude,
      }),
    };
  },
};
