import { createInterface } from 'node:readline';
import { services } from '../../activities/services/index.js';
import { openSite } from '../../activities/site/site.js';
import { ServiceSpec } from '../../src/core/plan.js';
import { testContext } from './context.js';
import { holderOf } from './holder.js';

/**
 * A worker to be killed or frozen: `<state> <service as JSON> <deadline ms>`. Takes the site `cms`, stops its application,
 * says `stopped <epoch>`, then does one thing per line of input and answers with `done` or the failure's type.
 */
const [dir = '', spec = '', deadline = '60000'] = process.argv.slice(2);
const service = ServiceSpec.parse(JSON.parse(spec));
const ctx = await testContext({ dir, step: 'worker' });
const guard = openSite(ctx.state, 'cms', { deadlineMs: Number(deadline) });
const holder = holderOf('run-1');
await guard.hold(holder);
const section = await guard.arm(holder, { services: [service], capMs: 60_000 }, ctx);
await services[service.kind].stop(service, section.prior[service.name] ?? [], ctx);
console.log(`stopped ${section.epoch}`);
for await (const line of createInterface({ input: process.stdin })) {
  const [verb, a = '', b = ''] = line.split(' ');
  const work = {
    commit: () => guard.commit(section.epoch, a, b, ctx),
    fenced: () => ctx.run('touch', [a], { fence: section.fence }),
    renew: () => guard.renew(section.epoch, ctx),
    undo: () => guard.addUndo(section.epoch, [{ kind: 'rename', from: a, to: b }], ctx),
    /** A tool that leaves a child in a session of its own, with the lock. */
    stray: () =>
      ctx.run('sh', ['-c', 'setsid sleep 60 >/dev/null 2>&1 & echo $! >"$1"', 'sh', a], { fence: section.fence }),
    frozen: () => ctx.run('sh', ['-c', 'echo $$ >"$1"; kill -STOP $$; sleep 60', 'sh', a], { fence: section.fence }),
  }[verb as string] as () => Promise<unknown>;
  work().then(
    () => console.log('done'),
    (error) => console.log(error.type ?? error.message),
  );
}
