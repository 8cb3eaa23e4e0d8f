import { proxyActivities } from '@temporalio/workflow';
// In a project of your own: 'holdfast/require-backup'.
import { requireBackup } from '../../workflows/require-backup.js';
import type * as activities from './activities.js';

const { migrate } = proxyActivities<typeof activities>({ startToCloseTimeout: '10 minutes' });

/** Migrates only after a backup that every repository has verified. */
export async function deploy(version: string): Promise<string> {
  const { said } = await requireBackup('shop', { reason: `deploy ${version}` });
  return `${said}; ${await migrate(version)}`;
}
