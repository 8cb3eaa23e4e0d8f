import { relative, resolve } from 'node:path';
import { z } from 'zod';
import type { App, SiteFacts } from './contract.js';
import { isWithin, uncovered } from './coverage.js';

export const VideocmsOptions = z.strictObject({
  online: z
    .boolean()
    .default(false)
    .describe('Take the database without stopping VideoCMS (VACUUM INTO); uploads that end meanwhile may be missing.'),
  format: z
    .enum(['file', 'sql'])
    .default('file')
    .describe('How the database is kept: as the file itself, or as SQL text.'),
  includePendingSources: z
    .boolean()
    .default(true)
    .describe('Keep originals in videos/uploads that VideoCMS still needs: videos not encoded yet, or only in part.'),
  qualitys: z
    .string()
    .min(1)
    .default('videos/qualitys')
    .describe('Where processed media lie, relative to root: FolderVideoQualitysPriv of the .env file.'),
  uploads: z
    .string()
    .min(1)
    .default('videos/uploads')
    .describe('Where uploads are assembled, relative to root: FolderVideoUploadsPriv of the .env file.'),
  mayBeEmpty: z.boolean().default(false).describe('No video yet is no error.'),
  leaveOut: z
    .array(z.string().min(1))
    .default([])
    .describe('Entries below root, and volumes, that need no backup: they are not reported as uncovered.'),
});
export type VideocmsOptions = z.infer<typeof VideocmsOptions>;

/** Configuration that belongs to a backup where it is present. */
const CONFIG = [
  'docker-compose.yaml',
  'docker-compose.yml',
  'compose.yaml',
  'compose.yml',
  'docker-compose.override.yaml',
  'docker-compose.override.yml',
  'compose.override.yaml',
  'compose.override.yml',
  '.env',
  'Caddyfile',
];

/** Absolute places of a site: the checks look where the plan looked. */
export function videocmsPlaces(root: string, options: Pick<VideocmsOptions, 'qualitys' | 'uploads'>) {
  return {
    database: resolve(root, 'database/database.sqlite'),
    media: resolve(root, options.qualitys),
    uploads: resolve(root, options.uploads),
  };
}

/**
 * VideoCMS: SQLite in WAL mode, HLS folders by UUID, and the files that define the installation. A stop does not flush
 * the WAL, so the database is checkpointed while VideoCMS is down.
 */
export const videocms: App<VideocmsOptions> = {
  name: 'videocms',
  about: 'VideoCMS: the database, the processed media and the configuration beside the compose file.',
  options: VideocmsOptions,
  plan({ root, options }, facts) {
    const { database, media, uploads } = videocmsPlaces(root, options);
    const fileSets = [
      {
        name: 'media',
        root: media,
        include: [],
        // Uploads may have been configured to lie inside.
        exclude: isWithin(uploads, media) ? [`${uploads.slice(media.length + 1)}`] : [],
        optional: false,
        change: 'immutable' as const,
        mayBeEmpty: options.mayBeEmpty,
      },
      {
        name: 'config',
        root,
        include: CONFIG,
        exclude: [],
        optional: true,
        change: 'mutable' as const,
        mayBeEmpty: true,
      },
    ];
    const leftOut = [
      uploads,
      // Written at each start and never read again.
      resolve(root, 'logs'),
      ...program(root, facts),
      ...options.leaveOut.flatMap((name) => [name, resolve(root, name)]),
    ];
    return {
      databases: [
        {
          kind: 'sqlite',
          name: 'database',
          path: database,
          format: options.format,
          mode: options.online ? 'online' : 'stopped',
        },
      ],
      fileSets,
      uncovered: uncovered(root, facts, { databases: [database], fileSets, leftOut }),
      leftOut: [
        `${relative(root, uploads)}: staging; ${options.includePendingSources ? 'sources that a video still needs are captured all the same' : 'also sources that a video still needs'}`,
        'logs: written anew',
        ...program(root, facts).map((path) => `${relative(root, path)}: part of the program`),
      ],
      health: { http: 'http://127.0.0.1:3000/api/config', status: 200 },
    };
  },
};

/** An installation without a container has the program beside its data: its binary, and `views` with `public`. */
function program(root: string, facts: SiteFacts): string[] {
  const has = (test: (entry: SiteFacts['entries'][number]) => boolean) => facts.entries.some(test);
  const views = resolve(root, 'views');
  if (!has(({ path, dir }) => !dir && isWithin(path, views) && path.endsWith('.html'))) return [];
  const binary = resolve(root, 'videocms');
  return [views, resolve(root, 'public'), ...(has(({ path, dir }) => path === binary && !dir) ? [binary] : [])];
}
