import { after, suite, test } from 'node:test';
import { APP_NAMES, type AppName } from '../support/app-lab.js';
import { buildLab } from '../support/lab-build.js';
import type { AppArena } from './app-blows.js';
import { type AppCase, nameOfApp } from './app-cases.js';
import { openAppArena, playApp } from './app-play.js';

/*
 * A few cases of the crash matrix on one site of each application, each in a lab of its own, side by side: most of a case is waiting for
 * Temporal to notice a death. `npm run crash -- --app all` plays random ones.
 */

const of =
  (app: AppName) =>
  (workflow: AppCase['workflow'], moment: string, blow: AppCase['blow'], repository = 0): AppCase => ({
    ...{ app, workflow, moment, blow, repository, offset: 0.3 },
    ...{ stopped: false, part: false },
  });
const [seafile, apiscp, mediagit] = [of('seafile'), of('apiscp'), of('mediagit')];
const [varasto, generic, mysql] = [of('varasto'), of('generic'), of('mysql')];
const CASES: Record<AppName, AppCase[]> = {
  seafile: [
    { ...seafile('backup', 'stop', 'cancel'), stopped: true },
    seafile('backup', 'dump', 'both'),
    seafile('restore', 'swap', 'reboot', 1),
  ],
  apiscp: [apiscp('backup', 'dump', 'tool', 1), { ...apiscp('restore', 'swap', 'both'), part: true }],
  mediagit: [mediagit('backup', 'store', 'tool'), mediagit('restore', 'swap', 'reboot', 1)],
  varasto: [
    varasto('backup', 'dump', 'reset', 1),
    varasto('restore', 'swap', 'both'),
    varasto('restoreTest', 'prove', 'cancel'),
  ],
  generic: [
    generic('restore', 'swap', 'both'),
    generic('restore', 'start', 'tool'),
    generic('backup', 'dump', 'reboot'),
  ],
  mysql: [mysql('restore', 'swap', 'reboot'), mysql('backup', 'dump', 'tool')],
};

const built = await buildLab();
after(() => built.remove());

suite('one site of each application', { concurrency: 4 }, () => {
  for (const app of APP_NAMES)
    test(`${app}: ${CASES[app].length} cases`, async (t) => {
      let arena: AppArena | string | undefined;
      try {
        arena = await openAppArena(app, built.dir);
        if (typeof arena === 'string') return t.skip(arena);
        for (const one of CASES[app])
          await playApp(arena, one).catch((error: Error) => {
            throw new Error(`${nameOfApp(one)}: ${error.message}`, { cause: error });
          });
      } finally {
        if (typeof arena === 'object') await arena.end();
      }
    });
});
