import type { z } from 'zod';
import type { DatabaseSpec, FileSetSpec, Health } from '../core/plan.js';

/** What `prepare` saw on the machine, handed to an app so that its plan stays pure. Paths are absolute. */
export interface SiteFacts {
  /** Entries of the root and of its direct subdirectories, and of what the app looks into. */
  entries: { path: string; dir: boolean }[];
  /** Directories with more entries than were looked at, and how many that were. */
  cut?: { path: string; looked: number }[];
  /** Volumes and binds that the services declare; `path` where it lies on this host. */
  volumes: { name: string; path?: string }[];
}

export interface AppPlan {
  databases: DatabaseSpec[];
  fileSets: FileSetSpec[];
  /** Top entries and volumes that are neither included nor excluded on purpose. */
  uncovered: string[];
  /** What is left out by design, each with its reason: `videos/uploads: …`. */
  leftOut?: string[];
  /** Commands that a person runs after a restore; Holdfast says them, and runs none. */
  afterRestore?: string[];
  /** Nothing younger than this is ever pruned, whatever `keep` says. */
  keepAtLeastMs?: number;
  /** The health check of the application, where the config names none. */
  health?: Health;
}

/** An application: how a site of it is read, and what of it makes a complete backup. Its checks live in activities/checks. */
export interface App<O = unknown> {
  name: string;
  /** What `holdfast init` and the docs say of it. */
  about: string;
  /** The site's own options (`options:` in the config), strict, each with a description. */
  options: z.ZodType<O>;
  /** Directories deeper than `SiteFacts` goes by itself, relative to root, whose entries the plan needs too. */
  looksInto?: readonly string[];
  plan(site: { root: string; options: O }, facts: SiteFacts): AppPlan;
}
