import type {
  BackupInput,
  GuardedChangeInput,
  PruneInput,
  RepairInput,
  RestoreInput,
  RestoreTestInput,
  VerifyInput,
} from '../core/inputs.js';

/** One sentence per start, as the UI shows it: no path, no secret. */
export const summaries = {
  backup: ({ site, repositories, level, reason }: BackupInput) =>
    line(`Back up ${site}${repositories ? ` to ${repositories.join(', ')}` : ''}${level ? `, ${level}` : ''}`, reason),
  restore: ({ site, to, snapshot, target, only, reason }: RestoreInput) =>
    line(
      `Restore ${only ? `${only.join(', ')} of ` : ''}${site} from ${snapshot} ${target ? `to ${target}` : 'in place'}${to ? ` as ${to}` : ''}`,
      reason,
    ),
  restoreTest: ({ site, snapshot, full }: RestoreTestInput) =>
    line(`Prove ${snapshot} of ${site} by a restore${full ? ', every byte' : ''}`),
  verify: ({ site, repository, depth }: VerifyInput) =>
    line(`Verify ${site}${repository ? ` in ${repository}` : ''}, ${depth}`),
  prune: ({ site, repository, dryRun }: PruneInput) =>
    line(
      `${dryRun ? 'Show what retention would remove' : 'Apply retention'} for ${site}${repository ? ` in ${repository}` : ''}`,
    ),
  guardedChange: ({ site, operation, reason }: GuardedChangeInput) => line(`Guard ${operation} of ${site}`, reason),
  repair: ({ site, from }: RepairInput) => line(`Repair ${site}${from ? ` from ${from}` : ''}`),
  watch: ({ site }: { site: string }) => line(`Look after the objectives of ${site}`),
};

function line(text: string, reason?: string): string {
  return reason ? `${text} · ${reason}` : text;
}
