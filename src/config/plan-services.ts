import { basename } from 'node:path';
import { parseDuration } from '../core/durations.js';
import type { Command, Health, ServiceSpec } from '../core/plan.js';
import type { CommandLine, HealthLine } from './fields.js';
import type { ServiceLine, SiteLines } from './schema-site.js';

/** Services and commands of a site, from how a person writes them to how a plan holds them. */

export function ms(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseDuration(text);
}

/** Commands of a running site start in its root; one without `cwd` here starts where its step says. */
export function commandOf(line: CommandLine, root?: string): Command {
  const full = Array.isArray(line) ? { argv: line } : line;
  const cwd = full.cwd ?? root;
  return {
    argv: full.argv,
    ...(cwd === undefined ? {} : { cwd }),
    ...(full.env === undefined ? {} : { env: full.env }),
    timeoutMs: ms(full.timeout) ?? 60_000,
  };
}

export function healthOf(line: HealthLine, root: string): Health {
  if ('http' in line) return { http: line.http, status: line.status ?? 200 };
  return { command: commandOf(line.command, root) };
}

export function servicesOf(site: SiteLines, appHealth: Health | undefined): ServiceSpec[] {
  const lines = (site.services ?? [site.service]).filter((line) => line !== undefined);
  const taken = new Set<string>();
  const specs = lines.map((line) => {
    const base = serviceName(line);
    let name = base;
    for (let n = 2; taken.has(name); n++) name = `${base}-${n}`;
    taken.add(name);
    return serviceOf(line, name, site.root);
  });
  // The first to stop is the last to start: the site answers when that one is up.
  const front = specs[0];
  const health = site.health ? healthOf(site.health, site.root) : appHealth;
  if (front && front.kind !== 'none' && !front.health && health) front.health = health;
  return specs;
}

function serviceOf(line: ServiceLine, name: string, root: string): ServiceSpec {
  if (line === 'none') return { kind: 'none', name, stopTimeoutMs: 0 };
  const common = {
    name,
    stopTimeoutMs: ms(line.stopTimeout) ?? 60_000,
    ...(line.health ? { health: healthOf(line.health, root) } : {}),
  };
  if ('compose' in line)
    return {
      kind: 'compose',
      ...common,
      file: line.compose,
      ...(line.project ? { project: line.project } : {}),
      services: line.names,
    };
  if ('systemd' in line) return { kind: 'systemd', ...common, unit: line.systemd, user: line.user ?? false };
  if ('process' in line) {
    const { pidFile, start, signal = 'SIGTERM' } = line.process;
    return { kind: 'process', ...common, pidFile, start: commandOf(start, root), signal };
  }
  const { stop, start, status } = line.command;
  return {
    kind: 'command',
    ...common,
    stop: commandOf(stop, root),
    start: commandOf(start, root),
    status: commandOf(status, root),
  };
}

/** What a service is called where its owner gave it no name. */
function serviceName(line: ServiceLine): string {
  if (line === 'none') return 'none';
  if (line.name) return line.name;
  if ('compose' in line) return line.names.join('+');
  if ('systemd' in line) return line.systemd.replace(/\.service$/, '');
  return 'process' in line ? basename(line.process.pidFile).replace(/\.pid$/, '') : 'command';
}
