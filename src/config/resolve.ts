import { dirname, isAbsolute, resolve } from 'node:path';
import type { CommandLine } from './fields.js';
import { entries, type PartlyConfig } from './partly.js';
import { servicesOf, visit } from './visit.js';

/**
 * Makes every path absolute, in place: those of the config against its own directory, those of a site's services and
 * commands against the site's root. So a config means the same wherever the worker or the command was started.
 */
export function resolvePaths(config: PartlyConfig, configFile: string): void {
  const dir = dirname(configFile);
  const restore = config.restore;
  if (restore?.root) restore.root = resolve(dir, restore.root);
  for (const [, repository] of entries(config.repositories)) {
    const local = repository.location && localPath(repository.location);
    if (local) repository.location = resolve(dir, local);
    if (repository.ssh) resolveSsh(repository.ssh, dir);
  }
  for (const [name, site] of entries(config.sites)) {
    if (site.root) site.root = resolve(dir, site.root);
    const root = site.root ?? dir;
    if (site.pull) resolveSsh(site.pull, dir);
    if (site.restoreTest?.scratch) site.restoreTest.scratch = resolve(dir, site.restoreTest.scratch);
    for (const { service } of servicesOf(site, ['sites', name])) {
      if (typeof service === 'string') continue;
      if ('compose' in service && service.compose) service.compose = resolve(root, service.compose);
      if ('process' in service && service.process?.pidFile)
        service.process.pidFile = resolve(root, service.process.pidFile);
    }
  }
  visit(config, {
    secret: (ref) => {
      if ('file' in ref && ref.file) ref.file = resolve(dir, ref.file);
      if ('command' in ref && ref.command?.[0]) ref.command[0] = program(ref.command[0], dir);
    },
    command: (command, _, site, replace) => {
      const root = site.root ?? dir;
      const full = Array.isArray(command) ? { argv: command as string[] } : (command as Extract<CommandLine, object>);
      if (!('argv' in full) || !full.argv?.[0]) return;
      const cwd = resolve(root, full.cwd ?? '.');
      const argv = [program(full.argv[0], cwd), ...full.argv.slice(1)];
      replace(Array.isArray(command) ? argv : { ...full, argv, ...(full.cwd ? { cwd } : {}) });
    },
  });
}

function resolveSsh(ssh: { key?: string | undefined; knownHosts?: string | undefined }, dir: string): void {
  if (ssh.key) ssh.key = resolve(dir, ssh.key);
  if (ssh.knownHosts) ssh.knownHosts = resolve(dir, ssh.knownHosts);
}

/** `./run.sh` is a path, `restic` is looked up by the system. */
function program(name: string, dir: string): string {
  return name.includes('/') && !isAbsolute(name) ? resolve(dir, name) : name;
}

/** The directory of a repository's location; undefined for one that an engine reaches by other means (`s3:…`, `sftp:…`). */
export function localPath(location: string): string | undefined {
  const scheme = /^([a-z][a-z0-9+-]*):/i.exec(location)?.[1];
  if (scheme === 'local' || scheme === 'file') return location.slice(scheme.length + 1).replace(/^\/\/(?=\/)/, '');
  return scheme ? undefined : location;
}
