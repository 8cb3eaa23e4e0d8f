import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lab } from '../../test/support/lab.js';
import { run } from './measure.js';

export interface Borgmatic {
  /** An empty repository in place of what there was. */
  renew: () => Promise<unknown>;
  /** Its create, prune and check, as one call. */
  jobs: () => Promise<unknown>;
}

/** borgmatic of PyPI with the machine's borg (Debian: borgbackup), for the site of a lab; throws where one cannot be had. */
export async function installBorgmatic(lab: Lab): Promise<Borgmatic> {
  await run('borg', ['--version']);
  const lib = join(lab.dir, 'borgmatic');
  await run('python3', ['-m', 'pip', 'install', '--quiet', '--target', lib, 'borgmatic']);
  // Unless told to, Python does not keep what it compiled where we have put it: each call would compile it again.
  await run('python3', ['-m', 'compileall', '-q', lib]).catch(() => {});
  const [home, repository, config] = ['borg-home', 'borg', 'borgmatic.yaml'].map((name) => join(lab.dir, name)) as [
    string,
    string,
    string,
  ];
  await mkdir(home);
  const lines = {
    source_directories: [lab.site.root],
    repositories: [{ path: repository }],
    encryption_passphrase: 'of the bench alone',
    keep_daily: 5,
    checks: [{ name: 'repository' }, { name: 'archives' }],
  };
  await writeFile(config, JSON.stringify(lines), { mode: 0o600 });
  const env = { PATH: process.env.PATH, HOME: home, PYTHONPATH: lib };
  const call = (...args: string[]) =>
    run('python3', ['-m', 'borgmatic.commands.borgmatic', '--config', config, ...args], { env, maxBuffer: 64e6 });
  return {
    renew: async () => {
      await rm(repository, { recursive: true, force: true });
      // What borg remembers of a repository lies there; a new one in its place would look like a forgery.
      await rm(home, { recursive: true, force: true });
      await mkdir(home);
      await call('repo-create', '--encryption', 'repokey-blake2');
    },
    jobs: () => call('create', 'prune', 'check', '--force'),
  };
}
