/** What a program of yours imports from `holdfast`; workflows import `requireBackup` from `holdfast/require-backup`. */

export { connect } from './client/connect.js';
export { startFleet } from './client/fleet.js';
export {
  startBackup,
  startGuardedChange,
  startPrune,
  startRestore,
  startRestoreTest,
  startVerify,
} from './client/start.js';
export type { Event } from './core/events.js';
export type { FailureType } from './core/failures.js';
export type {
  BackupInput,
  GuardedChangeInput,
  PruneInput,
  RestoreInput,
  RestoreTestInput,
  VerifyInput,
} from './core/inputs.js';
export type { Manifest, Snapshot } from './core/manifest.js';
export type { Outcome, Proof, Report } from './core/report.js';
export { HoldfastPlugin, type HoldfastPluginOptions } from './plugin.js';
