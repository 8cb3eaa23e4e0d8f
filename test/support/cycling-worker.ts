import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { services } from '../../activities/services/index.js';
import type { UndoStep } from '../../activities/site/api.js';
import { recoverAll } from '../../activities/site/recover.js';
import { openSite } from '../../activities/site/site.js';
import { ServiceSpec } from '../../src/core/plan.js';
import { testContext } from './context.js';
import { holderOf } from './holder.js';

/**
 * A worker that goes through sections as a restore does, again and again, until it is killed: `<state> <service as JSON> <data dir>`.
 * Each swaps `live` for a fresh one, and drops the old one once the application is healthy.
 */
const [dir = '', spec = '', data = ''] = process.argv.slice(2);
const service = ServiceSpec.parse(JSON.parse(spec));
const ctx = await testContext({ dir, step: 'worker' });
await recoverAll(ctx.state, ctx);
const guard = openSite(ctx.state, 'cms');
const holder = holderOf('restore');
const [live, aside, fresh] = ['live', 'aside', 'fresh'].map((name) => join(data, name)) as [string, string, string];
console.log('ready');
for (;;) {
  await guard.hold(holder);
  const { epoch, fence, prior } = await guard.arm(holder, { services: [service], capMs: 60_000 }, ctx);
  await services[service.kind].stop(service, prior[service.name] ?? [], ctx);
  rmSync(aside, { force: true });
  writeFileSync(fresh, `new ${epoch}`);
  const steps: Extract<UndoStep, { kind: 'rename' }>[] = [
    { kind: 'rename', from: live, to: aside },
    { kind: 'rename', from: fresh, to: live },
  ];
  await guard.addUndo(epoch, steps, ctx);
  for (const { from, to } of steps) await ctx.run('mv', ['-T', from, to], { fence });
  await guard.ensureUp('finish', { epoch, withinMs: 20_000 }, ctx);
  if (existsSync(aside)) renameSync(aside, join(data, 'dropped'));
  await guard.release(holder, ctx);
  console.log('cycle');
}
