import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ServiceSpec } from '../../../src/core/plan.js';
import { serviceSuite } from '../../conformance/service-suite.js';
import { openUserSystemd } from './support/systemd.js';

const APP = fileURLToPath(new URL('support/app.sh', import.meta.url));
const systemctl = (...args: string[]) => execFileSync('systemctl', ['--user', ...args], { stdio: 'pipe' });

serviceSuite('systemd of a user', async (ctx) => {
  const manager = await openUserSystemd();
  if (typeof manager === 'string') return manager;
  const unit = async (name: string, lines: string[] = [], mode = '') => {
    const dir = join(ctx.state.root, name);
    await mkdir(dir);
    const text = ['[Service]', `ExecStart=/bin/sh ${APP} ${dir} ${mode}`, ...lines, ''].join('\n');
    await writeFile(join(manager.units, `${name}.service`), text);
    const spec = ServiceSpec.parse({ kind: 'systemd', name, unit: name, user: true });
    return { spec, units: [`${name}.service`], beat: join(dir, 'beat') };
  };
  const app = await unit('app');
  const bystander = await unit('bystander');
  const stubborn = { ...(await unit('stubborn', ['TimeoutStopSec=1'], 'stubborn')), ends: 'killed' as const };
  const broken = await unit('broken', ['ExecStartPre=/bin/false']);
  systemctl('daemon-reload');
  systemctl('start', 'bystander');
  return {
    app,
    bystander,
    stubborn,
    broken,
    unknown: ServiceSpec.parse({ kind: 'systemd', name: 'x', unit: 'nowhere', user: true }),
    kill: async () => void systemctl('kill', '-s', 'KILL', 'app'),
    close: manager.close,
  };
});
