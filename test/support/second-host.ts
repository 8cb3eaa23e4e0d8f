import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openState } from '../../activities/site/state.js';
import { pollers } from '../../src/client/pollers.js';
import { hostQueue } from '../../src/core/names.js';
import { commandArgs } from './command.js';
import type { Lab } from './lab.js';
import { eventually } from './toy.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Another host of a lab: its own state directory, its own config, its own worker; the same Temporal server. */
export interface SecondHost {
  name: string;
  dir: string;
  state: string;
  worker: () => ChildProcess | undefined;
  start: () => Promise<ChildProcess>;
  kill: () => Promise<void>;
  end: () => Promise<void>;
}

export async function createSecondHost(lab: Lab, name: string, config: object): Promise<SecondHost> {
  const dir = join(lab.dir, name);
  const [state, configPath] = [join(dir, 'state'), join(dir, 'holdfast.yaml')];
  await mkdir(dir, { recursive: true });
  await openState(state);
  await writeFile(configPath, JSON.stringify(config, null, 1), { mode: 0o600 });
  let worker: ChildProcess | undefined;
  const stop = async (signal: NodeJS.Signals) => {
    if (!worker || worker.exitCode !== null || worker.signalCode !== null) return;
    const ended = once(worker, 'exit');
    worker.kill(signal);
    await ended;
  };
  return {
    ...{ name, dir, state },
    worker: () => worker,
    start: async () => {
      const args = [...commandArgs(), 'worker', '--config', configPath];
      const env = { ...process.env, ...lab.env, HOLDFAST_STATE_DIR: state, HOLDFAST_HOST: name };
      worker = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
      const log = createWriteStream(join(dir, 'worker.log'), { flags: 'a' });
      worker.stdout?.pipe(log, { end: false });
      worker.stderr?.pipe(log, { end: false });
      const { pid } = worker;
      await eventually(`the worker of ${name} is ready`, 300_000, async () =>
        (await pollers(lab.client, hostQueue(name), 'activity')).some(({ identity }) =>
          identity.endsWith(` pid ${pid}`),
        ),
      );
      return worker;
    },
    kill: () => stop('SIGKILL'),
    end: () => stop('SIGTERM'),
  };
}
