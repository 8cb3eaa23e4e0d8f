import { localContext } from '../../activities/local-context.js';
import { openState } from '../../activities/site/state.js';
import { watchdogAlive } from '../../activities/site/watchdog-status.js';
import type { Config } from '../config/schema.js';
import { type Finding, failed, ok, warn } from './check-findings.js';

/** The watchdog, now and after a reboot. */
export async function checkWatchdog(stateDir: string, host: string): Promise<Finding[]> {
  const state = await openState(stateDir);
  const status = await watchdogAlive(state);
  const ctx = await localContext('check', { stateDir, host });
  const units = await ctx
    .run('systemctl', ['list-unit-files', '--no-legend', '--state=enabled', '*holdfast*'], {
      ok: [0, 1],
      timeoutMs: 10_000,
    })
    .then(({ stdout }) => stdout)
    .catch(() => '');
  // A watchdog in a container is another pid namespace; its restart policy is compose's matter and cannot be seen from here.
  const boots = /watchdog/.test(units);
  return [
    status
      ? ok('watchdog', `runs (pid ${status.pid}, since ${status.startedAt})`)
      : warn('watchdog', 'none runs; a worker starts one, or start it yourself', 'holdfast watchdog'),
    boots
      ? ok('watchdog at boot', 'enabled')
      : warn(
          'watchdog at boot',
          'no enabled unit found: after a reboot nothing would bring a stopped application back, unless a container does',
        ),
  ];
}

/** Whether a failure would reach anybody outside this machine. */
export function checkAlarms(config: Config, sites: string[]): Finding[] {
  const targets = config.notify ?? {};
  const silent = sites.filter((site) => (config.sites[site]?.notify ?? config.defaults?.notify ?? []).length === 0);
  if (Object.keys(targets).length === 0) {
    return [warn('alarms', 'no alarm leaves this machine: add a webhook or a ping under `notify`')];
  }
  return silent.length > 0
    ? [warn('alarms', `nobody is told of ${silent.join(', ')}: name a target under \`defaults.notify\``)]
    : [ok('alarms', `${Object.keys(targets).join(', ')} are told`)];
}

/** The mistakes of the config, each a finding; the config where there are none. */
export async function checkConfigFile(path: string, host: string): Promise<{ config?: Config; findings: Finding[] }> {
  const { formatMistake, readConfig } = await import('../config/load.js');
  const { config, mistakes } = await readConfig(path, { look: 'all', host });
  if (config) return { config, findings: [ok('config', `${path}: ${Object.keys(config.sites).join(', ')}`)] };
  return { findings: mistakes.map((mistake) => failed('config', formatMistake(mistake), 'holdfast config validate')) };
}
