import { APP_NAMES, type AppName } from '../support/app-lab.js';
import { buildLab } from '../support/lab-build.js';
import type { AppArena } from './app-blows.js';
import { type AppCase, nameOfApp, randomAppCase } from './app-cases.js';
import { openAppArena, playApp } from './app-play.js';
import type { Played } from './play.js';
import { summary } from './summary.js';

interface Wanted {
  /** `all`: the applications in turn. */
  app: string;
  seed: number;
  indexes: number[];
  labs: number;
}

/** `npm run crash -- --app seafile --seed N --cases N`. HOLDFAST_CRASH_ONLY picks those whose name holds it. Resolves with whether every case held. */
export async function playApps({ app, seed, indexes, labs }: Wanted): Promise<boolean> {
  const names = app === 'all' ? APP_NAMES : APP_NAMES.filter((name) => name === app);
  if (names.length === 0) throw new Error(`--app takes one of ${APP_NAMES.join(', ')}, all`);
  const built = await buildLab();
  const queues = names.map((name) => ({ name, left: [...indexes] }));
  const played = new Map<AppName, Played[]>(names.map((name) => [name, []]));
  let failed = 0;

  const one = async (arena: AppArena, index: number, next: AppCase): Promise<boolean> => {
    try {
      const result = await playApp(arena, next);
      played.get(next.app)?.push(result);
      const healthy = result.healthyMs === undefined ? '' : `, healthy after ${Math.round(result.healthyMs)} ms`;
      console.log(` ok  ${index} ${result.name}: ${result.outcome}${healthy}${result.struck ? '' : ', run was over'}`);
      return true;
    } catch (error) {
      failed++;
      console.log(`FAIL ${index} ${nameOfApp(next)} in ${arena.lab.dir}\n${(error as Error).stack}`);
      console.log(`     again: npm run crash -- --app ${next.app} --seed ${seed} --case ${index}`);
      return false;
    }
  };
  const lab = async (): Promise<void> => {
    for (let queue = queues.shift(); queue; queue = queues.shift()) {
      let arena: AppArena | undefined;
      try {
        for (const index of queue.left) {
          const next = randomAppCase(queue.name, seed, index);
          if (!nameOfApp(next).includes(process.env.HOLDFAST_CRASH_ONLY ?? '')) continue;
          const opened = arena ?? (await openAppArena(queue.name, built.dir, true));
          if (typeof opened === 'string') throw new Error(opened);
          // What one case has left behind is not the next one's fault.
          const held = await one(opened, index, next);
          arena = held ? opened : void (await opened.end());
        }
      } catch (error) {
        failed++;
        console.log(`FAIL a lab of ${queue.name}: ${(error as Error).stack}`);
      } finally {
        await arena?.end();
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(labs, queues.length) }, lab));
  await built.remove();
  for (const [name, results] of played) console.log(`${name}, seed ${seed}: ${summary(results)}`);
  console.log(`${failed} failed`);
  return failed === 0;
}
