import type { RepositorySpec } from '../../src/core/plan.js';
import type { Engine } from '../contracts.js';
import { archiveEngine } from './archive.js';
import { rcloneEngine } from './rclone.js';
import { resticEngine } from './restic.js';
import { rsyncEngine } from './rsync.js';
import { ubackupEngine } from './ubackup.js';

/** Every engine by its name in the config: a new one is a file and a line here. */
export const engines: Record<RepositorySpec['engine'], Engine> = {
  restic: resticEngine,
  archive: archiveEngine,
  rsync: rsyncEngine,
  ubackup: ubackupEngine,
  rclone: rcloneEngine,
};
