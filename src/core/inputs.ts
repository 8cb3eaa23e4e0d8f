import { z } from 'zod';
import { NAME, parseAddress } from './names.js';

/**
 * Inputs of the workflows: one object each, parsed at the workflow's first line, because the UI, `temporal workflow
 * start` and schedules pass by every client of ours. An input names things; it never holds a command, path or secret.
 */

const site = z
  .string()
  .refine((text) => {
    const { site, host } = parseAddress(text);
    return NAME.test(site) && NAME.test(host);
  }, 'must be a site of holdfast.yaml, as "cms", or "cms@host" for another host')
  .describe('the site, as named in holdfast.yaml; site@host for another host');
const name = z.string().regex(NAME, 'must be a name of lower-case letters, digits and dashes, never a path');
const snapshot = z
  .string()
  .regex(
    /^(latest|[0-9A-Za-z][0-9A-Za-z.-]{7,79})$/,
    'must be "latest" or a snapshot id as `holdfast snapshots` shows it',
  )
  .describe('a snapshot or capture id, or latest');

export const BackupInput = z.strictObject({
  site,
  repositories: z.array(name).min(1).optional(),
  level: z.enum(['full', 'differential', 'incremental']).optional(),
  reason: z.string().max(200).optional(),
});
export type BackupInput = z.infer<typeof BackupInput>;

const databaseSnapshot = snapshot
  .optional()
  .describe('take the databases from this snapshot, all else from `snapshot`: an older dump on newer data');

export const RestoreInput = z.strictObject({
  site,
  snapshot: snapshot.default('latest'),
  databaseSnapshot,
  repository: name.optional(),
  /** Where it comes back, as site@host: another host's own site of the same application and id. */
  to: site.optional(),
  /** A new directory below `restore.root`; none means in place. */
  target: name.optional(),
  /** Parts of the site: names of databases and file sets, or directories of a set that has parts (`site12`). */
  only: z.array(name).min(1).optional(),
  /** Counts only where the config allows it; repeats site and snapshot so that it cannot be meant for another one. */
  approve: z.strictObject({ site: z.string(), snapshot: z.string() }).optional(),
  reason: z.string().max(200).optional(),
});
export type RestoreInput = z.infer<typeof RestoreInput>;

export const RestoreTestInput = z.strictObject({
  site,
  snapshot: snapshot.default('latest'),
  databaseSnapshot,
  repository: name.optional(),
  /** Read every byte instead of this run's sample. */
  full: z.boolean().default(false),
});
export type RestoreTestInput = z.infer<typeof RestoreTestInput>;

export const VerifyInput = z.strictObject({
  site,
  repository: name.optional(),
  depth: z.enum(['structure', 'sample', 'full']).default('sample'),
});
export type VerifyInput = z.infer<typeof VerifyInput>;

export const PruneInput = z.strictObject({
  site,
  repository: name.optional(),
  dryRun: z.boolean().default(false),
  /** Gates that a person overrides after reading what they say. */
  allow: z.array(z.enum(['shrunk', 'most'])).default([]),
});
export type PruneInput = z.infer<typeof PruneInput>;

export const GuardedChangeInput = z.strictObject({
  site,
  /** One that the site's config names. */
  operation: name,
  reason: z.string().max(200).optional(),
});
export type GuardedChangeInput = z.infer<typeof GuardedChangeInput>;

export const CheckInput = z.strictObject({
  site: site.optional(),
  host: name.optional(),
  /** Creates repositories that are not there. */
  init: z.boolean().default(false),
});
export type CheckInput = z.infer<typeof CheckInput>;

export const RepairInput = z.strictObject({
  site,
  /** The name of a repository or of a remote of the application, or a snapshot's id. */
  from: snapshot.or(z.string().regex(/^[A-Za-z0-9_][\w-]{0,62}$/, 'must be a name, never a path')).optional(),
});
export type RepairInput = z.infer<typeof RepairInput>;

/** Said beside other mistakes, too: zod by itself would wait until those are corrected. */
const isObject = ({ value }: { value: unknown }): boolean => typeof value === 'object' && value !== null;
const FLEET_CHOICES = 'must name sites, or say all, or an app: one of the three';
export const FleetInput = z
  .strictObject({
    workflow: z.enum(['backup', 'restoreTest', 'verify', 'prune']),
    sites: z.array(site).min(1).max(2000).optional(),
    /** All sites of the hosts. */
    all: z.literal(true).optional(),
    /** All sites of one application. */
    app: name.optional(),
    /** Whose configs say which sites there are; default the local one. */
    hosts: z.array(name).min(1).optional(),
    concurrency: z.int().min(1).max(200).default(4),
    perHost: z.int().min(1).max(200).default(1),
    reason: z.string().max(200).optional(),
  })
  .refine(({ sites, all, app }) => [sites, all, app].filter((each) => each !== undefined).length === 1, {
    error: FLEET_CHOICES,
    when: isObject,
  })
  .refine(({ sites, hosts }) => sites === undefined || hosts === undefined, {
    error: 'hosts go with all or an app; a site is named with its own host, as cms@web1',
    when: isObject,
  });
export type FleetInput = z.infer<typeof FleetInput>;

export const WatchInput = z.strictObject({ site });
export type WatchInput = z.infer<typeof WatchInput>;
