import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceSpec } from '../../src/core/plan.js';

/** A small application: a `process` service that answers 200 on `/`. */
export interface Toy {
  dir: string;
  spec: Extract<ServiceSpec, { kind: 'process' }>;
  pid: () => number | undefined;
  answers: () => Promise<boolean>;
  end: () => void;
}

const SERVER = `require('node:http').createServer((_, a) => a.end('ok')).listen(Number(process.argv[1]), '127.0.0.1')`;

export async function createToy(): Promise<Toy> {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-toy-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/`;
  const pidFile = join(dir, 'toy.pid');
  const pid = (): number | undefined => {
    const found = existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8')) : undefined;
    return found && lives(found) ? found : undefined;
  };
  return {
    dir,
    pid,
    spec: {
      kind: 'process',
      name: 'toy',
      pidFile,
      signal: 'SIGTERM',
      stopTimeoutMs: 3_000,
      start: { argv: [process.execPath, '-e', SERVER, String(port)], timeoutMs: 60_000 },
      health: { http: url, status: 200 },
    },
    answers: () =>
      fetch(url, { signal: AbortSignal.timeout(10_000) }).then(
        (answer) => answer.ok,
        () => false,
      ),
    end: () => {
      const running = pid();
      if (running) process.kill(running, 'SIGKILL');
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Whether a process lives; a zombie does not. */
export function lives(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** A loopback port of none that the kernel gives to connections: those may be somebody's while an application is stopped. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_768);
    const server = createServer();
    const free = await new Promise<boolean>((done) => {
      server.once('error', () => done(false));
      server.listen(port, '127.0.0.1', () => done(true));
    });
    if (!free) continue;
    await new Promise((done) => server.close(done));
    return port;
  }
}

/** Waits for something to become true; throws with `what` after `withinMs`. Returns how long it took. */
export async function eventually(what: string, withinMs: number, check: () => unknown): Promise<number> {
  const began = performance.now();
  while (!(await check())) {
    if (performance.now() - began > withinMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await sleep(10);
  }
  return performance.now() - began;
}

/** Runs a TypeScript module as a process of its own, in this process group's terms a stranger. */
export function runModule(path: string, args: string[], env: Record<string, string> = {}) {
  return spawn(process.execPath, ['--import', 'tsx', path, ...args], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
}
