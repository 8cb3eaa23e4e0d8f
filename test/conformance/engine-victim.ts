import { readFileSync } from 'node:fs';
import { engines } from '../../activities/engines/index.js';
import { testContext } from '../support/context.js';

/** A worker that is to die: says one line when it is in the middle of a backup. */
const job = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'));
const ctx = await testContext();
const engine = engines[job.engine as keyof typeof engines];
let said = false;
await engine.backup(job.repo, job.request, {
  ...ctx,
  beat: (progress) => {
    ctx.beat(progress);
    if (!said && (progress?.bytes ?? 0) > 1 << 20) {
      said = true;
      process.stdout.write('in the middle\n');
    }
  },
});
