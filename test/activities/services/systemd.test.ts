import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { services } from '../../../activities/services/index.js';
import { isFailure } from '../../../src/core/failures.js';
import { ServiceSpec } from '../../../src/core/plan.js';
import { serviceSuite } from '../../conformance/service-suite.js';
import { testContext } from '../../support/context.js';
import { eventually } from '../../support/toy.js';
import { openSystemd, type Systemd } from './support/systemd.js';

const APP = fileURLToPath(new URL('support/app.sh', import.meta.url));

let machine: Systemd | string;
before(async () => {
  machine = await openSystemd();
  if (typeof machine === 'string') return;
  machine.sh('mkdir -p /srv/app');
  await writeFile(join(machine.root, 'srv/app.sh'), await readFile(APP));
});
after(async () => {
  if (typeof machine !== 'string') await machine.close();
});

const inside = () => machine as Systemd;

/** Writes a unit for an application of its own, and returns how to reach both. */
async function unit(name: string, lines: string[], mode = '', more: object = {}) {
  inside().sh(`mkdir -p /srv/${name}`);
  await file(`${name}.service`, ['[Service]', `ExecStart=/bin/sh /srv/app.sh /srv/${name} ${mode}`, ...lines]);
  return {
    spec: ServiceSpec.parse({ kind: 'systemd', name, unit: name, ...more }),
    units: [`${name}.service`],
    beat: join(inside().root, 'srv', name, 'beat'),
  };
}

async function file(name: string, lines: string[]) {
  await writeFile(join(inside().root, 'etc/systemd/system', name), `${lines.join('\n')}\n`);
  inside().sh('systemctl daemon-reload');
}

serviceSuite('systemd', async () => {
  if (typeof machine === 'string') return machine;
  const app = await unit('app', []);
  const bystander = await unit('bystander', []);
  inside().sh('systemctl start bystander');
  return {
    app,
    bystander,
    unknown: ServiceSpec.parse({ kind: 'systemd', name: 'x', unit: 'nowhere.service' }),
    stubborn: { ...(await unit('stubborn', ['TimeoutStopSec=1'], 'stubborn')), ends: 'killed' },
    liar: await unit('liar', ['KillMode=none']),
    broken: { ...(await unit('broken', ['ExecStartPre=/bin/false'])) },
    kill: async () =>
      void inside().sh('systemctl kill -s KILL app; while systemctl is-active -q app; do sleep 0.05; done'),
    close: async () => {},
  };
});

describe('systemd', () => {
  const check = (name: string, body: () => Promise<void>) =>
    test(name, { timeout: 300_000 }, async (t) => {
      if (typeof machine === 'string') t.skip(machine);
      else await body();
    });
  const states = async (spec: ServiceSpec) => {
    const { units } = await services.systemd.status(spec, await testContext());
    return units.map(({ name, running }) => `${name} ${running ? 'up' : 'down'}`);
  };

  check('a unit that takes longer than our limit is a failed stop', async () => {
    const ctx = await testContext();
    const { spec, units, beat } = await unit('slow', ['TimeoutStopSec=30'], 'stubborn', { stopTimeoutMs: 500 });
    await services.systemd.preflight(spec, ctx);
    assert.match(ctx.notes[0] ?? '', /may take 30 s to stop/);
    await services.systemd.start(spec, units, ctx);
    await eventually('it ignores what asks it to end', 60_000, () => existsSync(beat));
    await assert.rejects(services.systemd.stop(spec, units, ctx), (error) => isFailure(error, 'StopFailed'));
    assert.deepEqual(await states(spec), ['slow.service up']);
    inside().sh('systemctl kill -s KILL slow');
  });

  check('a socket that would start it again is stopped with it, and started before it', async () => {
    const ctx = await testContext();
    const { spec } = await unit('web', []);
    await file('web.socket', ['[Socket]', 'ListenStream=/run/web.sock']);
    inside().sh('systemctl start web.socket web.service');
    assert.deepEqual(await states(spec), ['web.socket up', 'web.service up']);
    const both = ['web.socket', 'web.service'];
    await services.systemd.stop(spec, both, ctx);
    assert.deepEqual(await states(spec), ['web.service down'], 'systemd forgets a stopped socket');
    assert.equal(inside().sh('systemctl show -p ActiveState web.socket').trim(), 'ActiveState=inactive');
    await services.systemd.start(spec, both, ctx);
    assert.deepEqual(await states(spec), ['web.socket up', 'web.service up']);
    await services.systemd.stop(spec, both, ctx);
    await services.systemd.start(spec, ['web.socket'], ctx);
    assert.deepEqual(await states(spec), ['web.socket up', 'web.service down'], 'what was stopped stays stopped');
    await services.systemd.stop(spec, both, ctx);
  });

  check('what systemd stops with it is started again with it', async () => {
    const ctx = await testContext();
    const { spec } = await unit('base', []);
    inside().sh('mkdir -p /srv/front');
    await file('front.service', [
      ...['[Unit]', 'Requires=base.service', 'After=base.service'],
      ...['[Service]', 'ExecStart=/bin/sh /srv/app.sh /srv/front'],
    ]);
    inside().sh('systemctl start front.service');
    assert.deepEqual((await states(spec)).sort(), ['base.service up', 'front.service up']);
    await services.systemd.stop(spec, ['base.service', 'front.service'], ctx);
    assert.deepEqual(await states(spec), ['base.service down']);
    assert.equal(inside().sh('systemctl show -p ActiveState front').trim(), 'ActiveState=inactive');
    await services.systemd.start(spec, ['base.service', 'front.service'], ctx);
    assert.deepEqual((await states(spec)).sort(), ['base.service up', 'front.service up']);
  });

  check('Restart=always does not bring a stopped unit back, and shows in the mark when it restarts one', async () => {
    const ctx = await testContext();
    const { spec, units } = await unit('phoenix', ['Restart=always', 'RestartSec=50ms']);
    await services.systemd.start(spec, units, ctx);
    const first = (await services.systemd.status(spec, ctx)).units[0];
    inside().sh('systemctl kill -s KILL phoenix');
    await eventually('it runs anew, by another mark', 60_000, async () => {
      const [second] = (await services.systemd.status(spec, ctx)).units;
      return second?.running === true && second.startedAt !== first?.startedAt;
    });
    await services.systemd.stop(spec, units, ctx);
    inside().sh('sleep 0.3');
    assert.deepEqual(await states(spec), ['phoenix.service down']);
  });

  check('a unit that failed too often starts nevertheless', async () => {
    const ctx = await testContext();
    const { spec, units, beat } = await unit('often', [
      'StartLimitBurst=2',
      'ExecStartPre=/usr/bin/test -e /srv/often/go',
    ]);
    for (let tries = 0; tries < 4; tries++) await assert.rejects(services.systemd.start(spec, units, ctx));
    inside().sh('touch /srv/often/go');
    await services.systemd.start(spec, units, ctx);
    assert.deepEqual(await states(spec), ['often.service up']);
    assert.ok(beat);
    await services.systemd.stop(spec, units, ctx);
  });

  check('masked and transient units are refused before anything stops', async () => {
    const ctx = await testContext();
    inside().sh('systemctl mask --now nobody.service; systemd-run --unit=passing sleep 1000');
    for (const unit of ['nobody', 'passing']) {
      const spec = ServiceSpec.parse({ kind: 'systemd', name: unit, unit });
      await assert.rejects(services.systemd.preflight(spec, ctx), (error) => isFailure(error, 'ServiceUnknown'));
    }
    inside().sh('systemctl stop passing');
  });
});
