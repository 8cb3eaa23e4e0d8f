import { apps } from '../apps/index.js';
import { suggestion } from '../core/near.js';
import { type Finding, type Path, toFindings } from './findings.js';
import { entries, type Partly, type PartlyConfig } from './partly.js';
import type { SiteLines } from './schema-site.js';
import { checkCron, checkTimezone } from './times.js';

/** One site against the rest of the config. */
export function checkSite(site: Partly<SiteLines>, path: Path, config: PartlyConfig): Finding[] {
  return [
    ...checkApp(site, path),
    ...checkServices(site, path),
    ...checkUses(site, path, config),
    ...checkPull(site, path),
    ...checkOperations(site, path),
    ...(['backup', 'verify', 'restoreTest'] as const).flatMap((key) =>
      site.schedule?.[key] === undefined ? [] : checkCron(site.schedule[key], [...path, 'schedule', key]),
    ),
    ...(site.schedule?.timezone ? checkTimezone(site.schedule.timezone, [...path, 'schedule', 'timezone']) : []),
  ];
}

function checkApp(site: Partly<SiteLines>, path: Path): Finding[] {
  if (site.app === undefined) return [];
  const app = Object.hasOwn(apps, site.app) ? apps[site.app] : undefined;
  if (!app)
    return [{ path: [...path, 'app'], message: `no such application; ${suggestion(site.app, Object.keys(apps))}` }];
  const parsed = app.options.safeParse(site.options ?? {});
  return parsed.success ? [] : toFindings(parsed.error.issues, site.options ?? {}, [...path, 'options'], app.options);
}

function checkServices(site: Partly<SiteLines>, path: Path): Finding[] {
  const { service, services } = site;
  if (service !== undefined && services !== undefined)
    return [{ path: [...path, 'services'], message: 'stands beside `service`; put all of them here', atKey: true }];
  if (service === undefined && services === undefined)
    return [
      { path: [...path, 'service'], message: 'is missing; write `service: none` for a site that is never stopped' },
    ];
  const findings: Finding[] = [];
  const names = new Set<string>();
  services?.forEach((one, i) => {
    if (one === undefined) return;
    if (one === 'none' && services.length > 1)
      findings.push({
        path: [...path, 'services', i],
        message: 'none stands for a site without any service; leave it out',
      });
    if (typeof one === 'string' || one.name === undefined) return;
    if (names.has(one.name))
      findings.push({ path: [...path, 'services', i, 'name'], message: 'stands twice; give each its own' });
    names.add(one.name);
  });
  return findings;
}

/** With the application stopped nothing answers at an address: its own health is asked after the start. */
function checkOperations(site: Partly<SiteLines>, path: Path): Finding[] {
  return entries(site.operations).flatMap(([name, { check, writes }]): Finding[] =>
    typeof check === 'object' && 'http' in check && (writes ?? 'held') === 'held'
      ? [
          {
            path: [...path, 'operations', name, 'check'],
            message:
              'no address answers while writes are held; name a command, leave it at health, or set writes: open',
          },
        ]
      : [],
  );
}

/** A backup machine's own config says of which host it pulls. */
function checkPull({ pull, host }: Partly<SiteLines>, path: Path): Finding[] {
  if (pull === undefined || host !== undefined) return [];
  return [{ path: [...path, 'pull'], message: 'pulls from another machine; say its name as `host` too', atKey: true }];
}

/** Every site says where it is stored, and each repository once. */
function checkUses(site: Partly<SiteLines>, path: Path, config: PartlyConfig): Finding[] {
  const known = Object.keys(config.repositories ?? {});
  const seen = new Set<string>();
  return (site.repositories ?? []).flatMap((use, i): Finding[] => {
    const name = typeof use === 'string' ? use : use?.use;
    if (name === undefined) return [];
    const at = [...path, 'repositories', i, ...(typeof use === 'string' ? [] : ['use'])];
    if (seen.has(name)) return [{ path: at, message: `stands here twice; keep one` }];
    seen.add(name);
    return known.includes(name) ? [] : [{ path: at, message: `no such repository; ${suggestion(name, known)}` }];
  });
}
