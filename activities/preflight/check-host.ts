import { userInfo } from 'node:os';
import { formatMistake, readConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config/schema.js';
import { type Finding, failed, type HostFindings, ok, warn } from '../../src/core/findings.js';
import { readReports } from '../reports.js';
import { watchdogAlive } from '../site/watchdog-status.js';
import { type CheckEnv, checkSite } from './check-site.js';

/** Everything that a host can say of its own sites (of `only`, where it is given): config, rights, tools, repositories, watchdog, alarms. */
export async function checkHost(path: string, only: string | undefined, env: CheckEnv): Promise<HostFindings> {
  const { host, state } = env;
  const { config, mistakes } = await readConfig(path, { look: 'all', host });
  if (!config)
    return {
      findings: mistakes.map((mistake) => failed('config', formatMistake(mistake), 'holdfast config validate')),
      unsaved: [],
    };
  const findings = [
    ok('config', `${path}: ${Object.keys(config.sites).join(', ')}`),
    ok('runs as', `${userInfo().username}, Node ${process.versions.node}`),
  ];
  const sites = Object.keys(config.sites).filter(
    (site) => (only === undefined || site === only) && (config.sites[site]?.host ?? host) === host,
  );
  const unsaved: string[] = [];
  for (const site of sites) {
    findings.push(...(await checkSite(config, site, env)));
    const reports = await readReports(state, site);
    if (!reports.some(({ workflow, outcome }) => workflow === 'backup' && outcome === 'completed')) unsaved.push(site);
  }
  findings.push(...(await checkWatchdog(env)), ...checkAlarms(config, sites));
  return { findings, unsaved };
}

/** The watchdog, now and after a reboot. */
async function checkWatchdog({ state, ctx }: CheckEnv): Promise<Finding[]> {
  const status = await watchdogAlive(state);
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
function checkAlarms(config: Config, sites: string[]): Finding[] {
  const targets = config.notify ?? {};
  const silent = sites.filter((site) => (config.sites[site]?.notify ?? config.defaults?.notify ?? []).length === 0);
  if (Object.keys(targets).length === 0) {
    return [warn('alarms', 'no alarm leaves this machine: add a webhook or a ping under `notify`')];
  }
  return silent.length > 0
    ? [warn('alarms', `nobody is told of ${silent.join(', ')}: name a target under \`defaults.notify\``)]
    : [ok('alarms', `${Object.keys(targets).join(', ')} are told`)];
}
