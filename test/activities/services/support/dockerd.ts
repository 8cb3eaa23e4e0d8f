import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findProgram } from '../../../../activities/tools/programs.js';

/** A docker daemon of its own, without network, with the image `bb:1` (a static busybox). */
export interface Dockerd {
  root: string;
  env: Record<string, string>;
  docker(...args: string[]): string;
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** Starts it, or says why it cannot run here. Sets DOCKER_HOST for the programs under test. */
export async function openDockerd(): Promise<Dockerd | string> {
  if (process.getuid?.() !== 0) return 'a docker daemon of our own needs root';
  for (const program of ['dockerd', 'docker', 'containerd', 'busybox'])
    if (!findProgram(program)) return `${program} is not installed`;
  const root = await mkdtemp(join(tmpdir(), 'holdfast-docker-'));
  const host = `unix://${root}/sock`;
  const env = { ...process.env, DOCKER_HOST: host } as Record<string, string>;
  const docker = (...args: string[]) =>
    execFileSync('docker', args, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

  let daemon: ChildProcess;
  const start = async () => {
    daemon = spawn(
      'dockerd',
      [
        ...['--bridge=none', '--iptables=false', '--ip6tables=false', '--storage-driver=vfs'],
        ...[
          '--data-root',
          join(root, 'data'),
          '--exec-root',
          join(root, 'exec'),
          '-H',
          host,
          '--pidfile',
          join(root, 'pid'),
        ],
      ],
      { stdio: 'ignore' },
    );
    for (const end = performance.now() + 60_000; performance.now() < end; ) {
      await sleep(100);
      if (daemon.exitCode !== null) return false;
      try {
        docker('info');
        return true;
      } catch {}
    }
    return false;
  };
  const stop = async () => {
    daemon.kill('SIGTERM');
    while (daemon.exitCode === null && daemon.signalCode === null) await sleep(50);
  };
  const clear = async () => {
    await stop();
    // Its network namespace, and its own data where the root does not propagate mounts.
    for (const path of mountsBelow(root)) {
      try {
        execFileSync('umount', [path], { stdio: 'ignore' });
      } catch {}
    }
    await rm(root, { recursive: true, force: true });
  };

  if (!(await start())) {
    await clear();
    return 'a docker daemon of our own does not come up here';
  }
  const tree = join(root, 'image');
  await mkdir(join(tree, 'bin'), { recursive: true });
  const busybox = join(tree, 'bin/busybox');
  await cp(findProgram('busybox') ?? '', busybox);
  await chmod(busybox, 0o755);
  execFileSync(busybox, ['--install', '-s', join(tree, 'bin')]);
  // Links made by --install are absolute paths of this machine.
  for (const name of ['sh', 'sleep', 'echo', 'cat']) {
    await rm(join(tree, 'bin', name), { force: true });
    execFileSync('ln', ['-s', 'busybox', join(tree, 'bin', name)]);
  }
  execFileSync('sh', ['-c', 'tar -C "$1" -c . | docker import - bb:1', '_', tree], { env, stdio: 'ignore' });
  return {
    root,
    env: { DOCKER_HOST: host },
    docker,
    restart: async () => {
      await stop();
      if (!(await start())) throw new Error('the docker daemon does not come up again');
    },
    close: async () => {
      for (const id of docker('ps', '-aq').split('\n').filter(Boolean)) docker('rm', '-f', id);
      await clear();
    },
  };
}

/** Deepest first. */
function mountsBelow(dir: string): string[] {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return mounts
    .flatMap((line) => line.split(' ')[4] ?? [])
    .filter((path) => path.startsWith(`${dir}/`))
    .reverse();
}
