import type { SecretRef } from '../core/plan.js';
import type { CommandLine, HealthLine } from './fields.js';
import type { Path } from './findings.js';
import { entries, type Partly, type PartlyConfig } from './partly.js';
import type { SiteLines } from './schema-site.js';
import { visitOptions } from './visit-options.js';

/** Where secrets and commands stand in a config: one walk for resolving paths and for looking at the machine. */
export interface Visitor {
  secret?: (ref: Partly<SecretRef>, path: Path) => void;
  /** `replace` puts another one in its place; `site` is where it runs. */
  command?: (
    command: Partly<CommandLine>,
    path: Path,
    site: Partly<SiteLines>,
    replace: (c: CommandLine) => void,
  ) => void;
}

export function visit(config: PartlyConfig, visitor: Visitor): void {
  for (const [name, notify] of entries(config.notify)) {
    for (const key of ['webhook', 'ping', 'key'] as const) secretIn(notify, key, ['notify', name], visitor);
  }
  for (const [name, repository] of entries(config.repositories)) {
    const path = ['repositories', name];
    for (const key of ['password', 'identity'] as const) secretIn(repository, key, path, visitor);
    for (const [key] of entries(repository.credentials))
      secretIn(repository.credentials, key, [...path, 'credentials'], visitor);
  }
  for (const [name, site] of entries(config.sites)) visitSite(site, ['sites', name], visitor);
}

function visitSite(site: Partly<SiteLines>, path: Path, visitor: Visitor): void {
  const command = (holder: object | undefined, key: string, at: Path) => {
    const value = (holder as Record<string, Partly<CommandLine> | undefined> | undefined)?.[key];
    if (!value || !holder) return;
    const here = [...at, key];
    if (!Array.isArray(value)) {
      for (const [variable, text] of entries(value.env as Record<string, unknown>))
        if (typeof text === 'object') secretIn(value.env, variable, [...here, 'env'], visitor);
    }
    visitor.command?.(value, here, site, (c) => {
      (holder as Record<string, unknown>)[key] = c;
    });
  };
  const health = (holder: { health?: Partly<HealthLine> | undefined }, at: Path) =>
    command(holder.health, 'command', [...at, 'health']);
  for (const key of ['before', 'after', 'onFailure', 'condition']) command(site.hooks, key, [...path, 'hooks']);
  command(site.restoreTest, 'start', [...path, 'restoreTest']);
  for (const [name, operation] of entries(site.operations)) {
    command(operation, 'run', [...path, 'operations', name]);
    if (typeof operation.check === 'object')
      command(operation.check, 'command', [...path, 'operations', name, 'check']);
  }
  visitOptions(site.app, site.options, [...path, 'options'], {
    secret: (holder, key, at) => secretIn(holder, key, at, visitor),
    command,
  });
  health(site, path);
  for (const { service, at } of servicesOf(site, path)) {
    if (typeof service === 'string') continue;
    health(service, at);
    if ('process' in service) command(service.process, 'start', [...at, 'process']);
    if ('command' in service)
      for (const key of ['stop', 'start', 'status']) command(service.command, key, [...at, 'command']);
  }
}

/** The services of a site, from either of its two keys. */
export function servicesOf(site: Partly<SiteLines>, path: Path) {
  const list = (site.services ?? []).map((service, i) => ({ service, at: [...path, 'services', i] as Path }));
  const all = [{ service: site.service, at: [...path, 'service'] as Path }, ...list];
  return all.flatMap(({ service, at }) => (service ? [{ service, at }] : []));
}

function secretIn(holder: object | undefined, key: string, at: Path, visitor: Visitor): void {
  const ref = (holder as Record<string, Partly<SecretRef> | undefined> | undefined)?.[key];
  if (typeof ref === 'object' && ref !== null) visitor.secret?.(ref, [...at, key]);
}
