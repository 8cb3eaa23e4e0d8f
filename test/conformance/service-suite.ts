import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, type TestContext as NodeTest, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { services } from '../../activities/services/index.js';
import { isFailure } from '../../src/core/failures.js';
import type { ServiceSpec } from '../../src/core/plan.js';
import { type TestContext, testContext } from '../support/context.js';

/** One kind of service with real programs behind it. Each spec is of its own application; `beat` is the file that one writes 20 times a second. */
export interface ServiceFixture {
  /** A well-behaved application, stopped now. */
  app: { spec: ServiceSpec; units: string[]; beat: string };
  /** Another one, running, that nobody may touch. */
  bystander: { beat: string };
  unknown: ServiceSpec;
  /** Does not hear its stop signal; stopped now. */
  stubborn: { spec: ServiceSpec; units: string[]; beat: string; ends: 'killed' | 'StopFailed' };
  /** Its stop command succeeds, and the process lives on; stopped now. */
  liar?: { spec: ServiceSpec; units: string[]; beat: string };
  /** Cannot be started. */
  broken?: { spec: ServiceSpec; units: string[] };
  /** Ends the application as a crash would, behind the service's back. */
  kill(): Promise<void>;
  close(): Promise<void>;
}

/** Whether the application writes: independent of what the service says of it. A busy machine may keep it from that for a while. */
async function beats(file: string, withinMs: number): Promise<boolean> {
  const read = () => readFile(file, 'utf8').catch(() => '');
  const first = await read();
  for (const end = performance.now() + withinMs; performance.now() < end; ) {
    await sleep(40);
    const next = await read();
    if (next !== '' && next !== first) return true;
  }
  return false;
}
const works = async (file: string) => assert.equal(await beats(file, 20_000), true, `nobody writes ${file}`);
const rests = async (file: string) => assert.equal(await beats(file, 600), false, `somebody writes ${file}`);

/** What every kind of service must do. `open` returns why it cannot run here, as a text, where it cannot. */
export function serviceSuite(kind: string, open: (ctx: TestContext) => Promise<ServiceFixture | string>): void {
  describe(`service ${kind}`, () => {
    let ctx: TestContext;
    let opened: ServiceFixture | string = 'not opened';
    // The runner waits for the end of a group with timers that keep no process alive; a worker has other reasons to live.
    const alive = setInterval(() => {}, 1000);
    before(async () => {
      ctx = await testContext({ step: 'stop' });
      opened = await open(ctx);
    });
    after(async () => {
      if (typeof opened !== 'string') await opened.close();
      clearInterval(alive);
    });

    const check = (name: string, body: (fixture: ServiceFixture, t: NodeTest) => Promise<void>) =>
      test(name, { timeout: 60_000 }, async (t) => {
        if (typeof opened === 'string') t.skip(opened);
        else await body(opened, t);
      });
    const of = (spec: ServiceSpec) => services[spec.kind];
    const status = async (spec: ServiceSpec, units: string[]) => {
      const found = (await of(spec).status(spec, ctx)).units.filter(({ name }) => units.includes(name));
      assert.deepEqual(found.map(({ name }) => name).sort(), [...units].sort());
      return { running: found.every(({ running }) => running), mark: found.map(({ startedAt }) => startedAt).join() };
    };

    check('preflight takes a service that is there, and names its tools', async ({ app }) => {
      assert.equal(typeof (await of(app.spec).preflight(app.spec, ctx)), 'object');
    });

    check('preflight refuses one that is not', async ({ unknown }) => {
      await assert.rejects(of(unknown).preflight(unknown, ctx), (error) => isFailure(error, 'ServiceUnknown'));
    });

    check('start, start again, stop, stop again', async ({ app: { spec, units, beat } }) => {
      assert.equal((await status(spec, units)).running, false);
      await of(spec).stop(spec, units, ctx);
      await of(spec).start(spec, units, ctx);
      const first = await status(spec, units);
      assert.equal(first.running, true);
      await works(beat);
      await of(spec).start(spec, units, ctx);
      assert.deepEqual(await status(spec, units), first, 'a second start must not start it anew');
      await of(spec).stop(spec, units, ctx);
      assert.equal((await status(spec, units)).running, false);
      await rests(beat);
      await of(spec).stop(spec, units, ctx);
      assert.equal((await status(spec, units)).running, false);
    });

    check('the mark changes with each start', async ({ app: { spec, units } }, t) => {
      await of(spec).start(spec, units, ctx);
      const { mark } = await status(spec, units);
      if (mark === '') return t.skip('this kind knows no start time');
      await of(spec).stop(spec, units, ctx);
      await of(spec).start(spec, units, ctx);
      assert.notEqual((await status(spec, units)).mark, mark);
    });

    check('only the units named are touched', async ({ app: { spec, units, beat }, bystander }) => {
      await of(spec).start(spec, units, ctx);
      await of(spec).stop(spec, [], ctx);
      await works(beat);
      await of(spec).stop(spec, units, ctx);
      await of(spec).start(spec, [], ctx);
      await rests(beat);
      await works(bystander.beat);
    });

    check('one that was killed meanwhile is stopped, and starts again', async ({ app, kill }) => {
      await of(app.spec).start(app.spec, app.units, ctx);
      await works(app.beat);
      await kill();
      await rests(app.beat);
      await of(app.spec).stop(app.spec, app.units, ctx);
      assert.equal((await status(app.spec, app.units)).running, false);
      await of(app.spec).start(app.spec, app.units, ctx);
      await works(app.beat);
      await of(app.spec).stop(app.spec, app.units, ctx);
    });

    check('a stop that hangs ends within its limit', async ({ stubborn: { spec, units, beat, ends } }) => {
      await of(spec).start(spec, units, ctx);
      await works(beat);
      const began = performance.now();
      const stopping = of(spec).stop(spec, units, ctx);
      if (ends === 'killed') {
        await stopping;
        await rests(beat);
        assert.match(ctx.notes.at(-1) ?? '', /kill/);
      } else await assert.rejects(stopping, (error) => isFailure(error, 'StopFailed'));
      assert.ok(performance.now() - began < spec.stopTimeoutMs + 6_000);
    });

    check('a stop that only says it succeeded is found out', async ({ liar }, t) => {
      if (!liar) return t.skip('a stop of this kind cannot lie');
      await of(liar.spec).start(liar.spec, liar.units, ctx);
      await assert.rejects(of(liar.spec).stop(liar.spec, liar.units, ctx), (error) => isFailure(error, 'StopFailed'));
      await works(liar.beat);
    });

    check('a start that fails says so', async ({ broken }, t) => {
      if (!broken) return t.skip('this kind cannot tell');
      await assert.rejects(of(broken.spec).start(broken.spec, broken.units, ctx), (error) =>
        isFailure(error, 'StartFailed'),
      );
    });
  });
}
