import { ApplicationFailure, CancelledFailure, condition, defineSignal, setHandler, sleep } from '@temporalio/workflow';
import { requireBackup } from '../../workflows/require-backup.js';

/** A stand-in for the real `backup`: ends as the site's name says. */
export async function backup(input: { site: string; reason: string }): Promise<object> {
  const { site, reason } = input;
  if (site === 'broken') throw ApplicationFailure.nonRetryable('prepare on local: no such site; name another');
  if (site === 'called-off') throw new CancelledFailure('somebody called it off');
  if (site === 'slow') {
    let go = false;
    setHandler(defineSignal('go'), () => {
      go = true;
    });
    await condition(() => go);
  }
  const outcome = ['partial', 'skipped'].includes(site) ? site : 'completed';
  return { outcome, reason, said: `${site} ${outcome}` };
}

/** A user's workflow: migrates only after a backup. */
export async function deploy(site: string): Promise<string> {
  const report = await requireBackup(site);
  await sleep(1);
  return `migrated after: ${report.said}; ${report.reason}`;
}
