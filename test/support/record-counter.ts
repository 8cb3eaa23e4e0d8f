import { updateRecord } from '../../activities/site/record.js';
import { openState } from '../../activities/site/state.js';

/** Raises the epoch of the site `cms` by one, again and again, and says so each time. */
const state = await openState(process.argv[2] as string);
for (;;) {
  await updateRecord(state.site('cms'), 'cms', (record) => ({ ...record, epoch: record.epoch + 1 }));
  process.stdout.write('1\n');
}
