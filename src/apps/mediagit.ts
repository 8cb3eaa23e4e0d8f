import { relative, resolve } from 'node:path';
import { z } from 'zod';
import type { App } from './contract.js';
import { isWithin, literal, uncovered } from './coverage.js';

export const MediagitOptions = z
  .strictObject({
    repository: z
      .string()
      .min(1)
      .default('.mediagit')
      .describe('Where the repository lies, relative to root; `.` for one that has no work tree around it.'),
    objects: z
      .string()
      .min(1)
      .optional()
      .describe('Where its objects lie, if elsewhere: `base_path` of its config.toml, relative to root.'),
    storage: z
      .enum(['local', 'cloud'])
      .default('local')
      .describe(
        '`cloud`: config.toml names S3, GCS or Azure, where the objects are the provider’s; refs and configuration are kept here.',
      ),
    workTree: z
      .boolean()
      .default(false)
      .describe('Keep the work tree too: edits that no commit holds yet. All else comes from the commits.'),
    push: z
      .array(z.string().regex(/^[A-Za-z0-9_][\w-]*$/, 'must be the name of a remote'))
      .default([])
      .describe(
        'Remotes of config.toml to which each branch is pushed after a backup, and that are asked whether it arrived. Tags and reflog do not travel: a copy to work with, no backup.',
      ),
    knownLost: z
      .array(z.string().regex(/^[0-9a-f]{64}$/, 'must be an object’s whole id'))
      .default([])
      .describe('Objects that no copy holds any more: that they are missing is no failure.'),
  })
  .superRefine(({ push, repository, storage }, ctx) => {
    if (push.length > 0 && !/(^|\/)\.mediagit$/.test(repository))
      ctx.addIssue({
        code: 'custom',
        path: ['push'],
        message: 'needs a repository that is called .mediagit: the program finds no other',
      });
    if (push.length > 0 && storage === 'cloud')
      ctx.addIssue({
        code: 'custom',
        path: ['push'],
        message: 'is for storage: local; a cloud is a second place already',
      });
  });
export type MediagitOptions = z.infer<typeof MediagitOptions>;

/** Absolute places of a site: the checks look where the plan looked. */
export function mediagitPlaces(root: string, options: MediagitOptions) {
  const git = resolve(root, options.repository);
  return { git, objects: options.objects === undefined ? resolve(git, 'objects') : resolve(root, options.objects) };
}

/** Names of the file sets: the checks find the captured refs by them. */
export const MEDIAGIT_SETS = { refs: 'refs', objects: 'objects' } as const;

/** Where a repair puts damaged objects, in the repository. */
export const DAMAGED = 'holdfast-damaged';

/**
 * MediaGit: refs, HEAD, reflog, index and configuration are copied first, the objects are stored after them from where they
 * lie. So no ref of a backup leads to an object that was not there yet; objects are never changed, and nothing has to be stopped.
 */
export const mediagit: App<MediagitOptions> = {
  name: 'mediagit',
  about: 'MediaGit: one repository, with or without its work tree; nothing is stopped.',
  options: MediagitOptions,
  plan({ root, options }, facts) {
    const { git, objects } = mediagitPlaces(root, options);
    const within = (path: string, dir: string) => (isWithin(path, dir) ? [literal(relative(dir, path))] : []);
    const local = options.storage === 'local';
    const fileSets = [
      {
        name: MEDIAGIT_SETS.refs,
        root: git,
        include: [],
        // Of a cloud's objects only a cache lies there.
        exclude: [...within(objects, git), DAMAGED],
        optional: false,
        change: 'mutable' as const,
        mayBeEmpty: false,
      },
      ...(local
        ? [
            {
              name: MEDIAGIT_SETS.objects,
              root: objects,
              include: [],
              exclude: ['**/*.tmp*'],
              optional: false,
              change: 'immutable' as const,
              // Before its first commit it has none; that what the refs lead to is there is looked at by itself.
              mayBeEmpty: true,
              whole: true,
            },
          ]
        : []),
      ...(options.workTree
        ? [
            {
              name: 'work-tree',
              root,
              include: [],
              exclude: [...within(git, root), ...within(objects, root)],
              optional: false,
              change: 'live' as const,
              mayBeEmpty: true,
            },
          ]
        : []),
    ];
    const leftOut = options.workTree
      ? []
      : facts.entries.map(({ path }) => path).filter((path) => !isWithin(path, git));
    return {
      databases: [],
      fileSets,
      uncovered: uncovered(root, facts, { databases: [], fileSets, leftOut: [...leftOut, objects] }),
      leftOut: [
        `${DAMAGED}: damaged objects that a repair put aside`,
        ...(local ? ['**/*.tmp*: what a killed `add` left'] : ['objects: kept by the provider']),
        ...(options.workTree || options.repository === '.'
          ? []
          : ['the work tree: checked out from the commits; edits that no commit holds are not in the backup']),
      ],
    };
  },
};
