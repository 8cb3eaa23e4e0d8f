import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { eventually, freePort } from './toy.js';

const SSHD = '/usr/sbin/sshd';

/** An SSH server of its own on the loopback, with its own keys; whoever has `key` may read as root. */
export interface Sshd {
  port: number;
  key: string;
  knownHosts: string;
  start: () => Promise<void>;
  /** Ends it and every connection, as a link that breaks does. */
  cut: () => Promise<void>;
}

/** Prepares one below `dir`; the reason where there can be none. */
export async function createSshd(dir: string): Promise<Sshd | string> {
  if (!existsSync(SSHD)) return 'openssh-server is not installed';
  if (process.getuid?.() !== 0) return 'an SSH server of its own takes root';
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const [hostKey, key, knownHosts, config] = ['hostkey', 'id', 'known_hosts', 'sshd_config'].map((name) =>
    join(dir, name),
  ) as [string, string, string, string];
  for (const file of [hostKey, key]) execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file]);
  const port = await freePort();
  const [type, text] = readFileSync(`${hostKey}.pub`, 'utf8').split(' ');
  writeFileSync(knownHosts, `[127.0.0.1]:${port} ${type} ${text}\n`);
  // As docs/hosts.md has it: this key reads files, and nothing else.
  writeFileSync(`${key}.allowed`, `restrict,command="rrsync -ro /" ${readFileSync(`${key}.pub`, 'utf8')}`);
  const lines = [
    ...[`Port ${port}`, 'ListenAddress 127.0.0.1', `HostKey ${hostKey}`, 'PidFile none', 'StrictModes no'],
    ...[`AuthorizedKeysFile ${key}.allowed`, 'UsePAM no', 'PasswordAuthentication no'],
    ...['PermitRootLogin prohibit-password', 'Subsystem sftp internal-sftp'],
  ];
  writeFileSync(config, `${lines.join('\n')}\n`);
  let server: ChildProcess | undefined;
  return {
    ...{ port, key, knownHosts },
    start: async () => {
      // A session of its own: its connections are found by it.
      server = spawn(SSHD, ['-D', '-e', '-f', config], { stdio: 'ignore', detached: true });
      await eventually('sshd answers', 60_000, () => answers(port));
    },
    cut: async () => {
      const running = server;
      server = undefined;
      if (running?.pid === undefined || running.exitCode !== null) return;
      const ended = once(running, 'exit');
      for (const pid of descendants(running.pid)) end(pid);
      end(running.pid);
      await ended;
    },
  };
}

function answers(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1');
    const say = (up: boolean) => {
      socket.destroy();
      done(up);
    };
    socket.once('connect', () => say(true)).once('error', () => say(false));
  });
}

function descendants(pid: number): number[] {
  const text = execFileSync('ps', ['-eo', 'pid=,ppid='], { encoding: 'utf8' });
  const all = text
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number) as [number, number]);
  const below = (parent: number): number[] =>
    all.filter(([, of]) => of === parent).flatMap(([child]) => [...below(child), child]);
  return below(pid);
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
