import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { findProgram } from '../../../../activities/tools/programs.js';
import { eventually, lives } from '../../../support/toy.js';

const SCRIPT = fileURLToPath(new URL('systemd-root.sh', import.meta.url));

/** A systemd of its own; `systemctl` of this process's PATH talks to it until `close`. */
export interface Systemd {
  /** Where its files are seen from here. */
  root: string;
  /** Runs a shell script inside. */
  sh(script: string): string;
  close(): Promise<void>;
}

export async function openSystemd(): Promise<Systemd | string> {
  if (process.getuid?.() !== 0) return 'a systemd of our own needs root';
  if (!existsSync('/lib/systemd/systemd')) return 'systemd is not installed';
  for (const program of ['nsenter', 'unshare', 'ip', 'bash', 'setsid'])
    if (!findProgram(program)) return `${program} is not installed`;
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-systemd-'));
  const name = basename(dir);
  const overlay = join(dir, 'root');
  const cleanup = async (unshare?: string, leader?: string) => {
    if (unshare) process.kill(Number(unshare), 'SIGKILL');
    if (leader) await eventually('that systemd has ended', 60_000, () => !lives(Number(leader)));
    for (const mount of [join(overlay, 'm'), overlay])
      try {
        execFileSync('umount', ['-l', mount], { stdio: 'ignore' });
      } catch {}
    const group = existsSync('/sys/fs/cgroup/unified') ? '/sys/fs/cgroup/unified' : '/sys/fs/cgroup';
    try {
      execFileSync('find', [join(group, name), '-depth', '-type', 'd', '-exec', 'rmdir', '{}', ';'], {
        stdio: 'ignore',
      });
    } catch {}
    await rm(dir, { recursive: true, force: true });
  };
  let pids: string[];
  try {
    pids = execFileSync('bash', [SCRIPT, overlay, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      .trim()
      .split(' ');
  } catch {
    await cleanup();
    return 'a systemd of our own does not come up here';
  }
  const [unshare = '', leader = ''] = pids;
  await mkdir(join(dir, 'bin'));
  const wrapper = join(dir, 'bin/systemctl');
  const nsenter = findProgram('nsenter');
  await writeFile(wrapper, `#!/bin/sh\nexec ${nsenter} -t ${leader} -a ${findProgram('systemctl')} "$@"\n`);
  await chmod(wrapper, 0o755);
  const path = process.env.PATH;
  process.env.PATH = `${join(dir, 'bin')}${delimiter}${path}`;
  return {
    root: `/proc/${leader}/root`,
    sh: (script) =>
      execFileSync('nsenter', ['-t', leader, '-a', 'sh', '-c', script], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    close: async () => {
      process.env.PATH = path;
      await cleanup(unshare, leader);
    },
  };
}

/** A user manager without a system one: units in `units`; `systemctl --user` finds it by XDG_RUNTIME_DIR until `close`. */
export async function openUserSystemd(): Promise<{ units: string; close(): Promise<void> } | string> {
  if (process.getuid?.() !== 0) return 'a systemd of our own needs root';
  if (!existsSync('/lib/systemd/systemd')) return 'systemd is not installed';
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-user-systemd-'));
  const runtime = join(dir, 'run');
  const units = join(dir, 'config/systemd/user');
  await mkdir(runtime, { mode: 0o700 });
  await mkdir(units, { recursive: true });
  const group = join(existsSync('/sys/fs/cgroup/unified') ? '/sys/fs/cgroup/unified' : '/sys/fs/cgroup', basename(dir));
  // It takes a machine without /run/systemd/system for one that systemd did not boot.
  const script =
    'mkdir -p "$1" && echo $$ >"$1/cgroup.procs" && exec unshare -m sh -c \'mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && exec /lib/systemd/systemd --user --unit=basic.target\'';
  const env = { PATH: process.env.PATH, HOME: dir, XDG_RUNTIME_DIR: runtime, XDG_CONFIG_HOME: join(dir, 'config') };
  const manager = spawn('sh', ['-c', script, '_', group], { env, stdio: 'ignore' });
  const before = process.env.XDG_RUNTIME_DIR;
  const close = async () => {
    if (before === undefined) delete process.env.XDG_RUNTIME_DIR;
    else process.env.XDG_RUNTIME_DIR = before;
    if (existsSync(join(group, 'cgroup.kill'))) await writeFile(join(group, 'cgroup.kill'), '1');
    manager.kill('SIGKILL');
    await eventually('all of it has ended', 60_000, () => !/^populated 1$/m.test(eventsOf(group)));
    try {
      execFileSync('find', [group, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', ';'], { stdio: 'ignore' });
    } catch {}
    await rm(dir, { recursive: true, force: true });
  };
  process.env.XDG_RUNTIME_DIR = runtime;
  for (const end = performance.now() + 60_000; performance.now() < end; ) {
    await sleep(50);
    if (manager.exitCode !== null) break;
    if (existsSync(join(runtime, 'systemd/private'))) return { units, close };
  }
  await close();
  return 'a user systemd of our own does not come up here';
}

/** What a control group says of itself; nothing where it is gone. */
function eventsOf(group: string): string {
  try {
    return readFileSync(join(group, 'cgroup.events'), 'utf8');
  } catch {
    return '';
  }
}
