import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { services } from '../../../activities/services/index.js';
import { openSite } from '../../../activities/site/site.js';
import { testContext } from '../../support/context.js';
import { holderOf } from '../../support/holder.js';
import { smallDisk } from '../../support/small-disk.js';
import { createToy, eventually } from '../../support/toy.js';

for (const mode of ['finish', 'recover'] as const)
  test(`a dump that fills the disk of the state directory does not keep the application down (${mode})`, async (t) => {
    const disk = smallDisk('4m');
    if (typeof disk === 'string') return t.skip(disk);
    const { dir } = disk;
    const toy = await createToy();
    t.after(() => {
      toy.end();
      disk.end();
    });
    const ctx = await testContext({ dir });
    const paths = ctx.state.site('cms');
    const guard = openSite(ctx.state, 'cms');
    await services.process.start(toy.spec, ['toy'], ctx);
    await eventually('the toy answers', 60_000, toy.answers);
    await guard.hold(holderOf('a'));
    const ack = setInterval(
      () => writeFileSync(paths.ack, String(JSON.parse(readFileSync(paths.record, 'utf8')).epoch)),
      20,
    );
    const { epoch } = await guard.arm(holderOf('a'), { services: [toy.spec], capMs: 60_000 }, ctx);
    clearInterval(ack);
    await services.process.stop(toy.spec, ['toy'], ctx);
    assert.throws(() => writeFileSync(join(dir, 'dump.partial'), Buffer.alloc(8_000_000)), /ENOSPC/);
    assert.throws(() => writeFileSync(join(dir, 'one-more'), 'x'), /ENOSPC/);
    const up = await guard.ensureUp(mode, { epoch, withinMs: 60_000 }, ctx);
    assert.ok(up.started && (await toy.answers()));
    assert.equal((await guard.read()).phase, 'held');
  });
