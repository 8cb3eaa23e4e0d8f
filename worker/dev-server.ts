import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { Connection } from '@temporalio/client';
import { baseEnv } from '../activities/tools/programs.js';
import { OUTCOME, SITE, WORKFLOW } from '../src/client/search-attributes.js';
import { freePorts } from './free-ports.js';
import { ensureNamespace } from './namespace.js';
import type { Temporal } from './temporal-binary.js';

export { findTemporal, type Temporal } from './temporal-binary.js';

const START_LIMIT_MS = 120_000;
const STOP_LIMIT_MS = 10_000;

/**
 * Measured: an activity takes 10 ms with these and 100 ms without. The server polls its transfer queue 20 times a
 * second by default, which costs 50 ms for each of two hops.
 */
const TUNING = ['history.transferProcessorMaxPollRPS=1000', 'system.enableActivityEagerExecution=true'];
const PRAGMAS = ['journal_mode=wal', 'synchronous=normal'];

export interface DevServerOptions {
  temporal: Temporal;
  namespace: string;
  /** Keeps everything in this database file; without it in memory. */
  dbFile?: string;
  /** Free loopback ports where absent. */
  ports?: { grpc: number; ui: number };
  headless?: boolean;
  /** Without the settings that make it fast: to show what they change. */
  untuned?: boolean;
}

export interface DevServer {
  address: string;
  namespace: string;
  /** Absent where the server runs without a UI, or somebody else runs it and TEMPORAL_UI_URL does not say where. */
  uiUrl?: string;
  /** Absent where somebody else runs it. */
  pid?: number;
  /** Ends it in order, within 10 s; does nothing to a server that somebody else runs. */
  stop: () => Promise<void>;
}

/** Starts Temporal's dev server on loopback with a namespace that keeps runs for a year; it ends with this process. */
export async function startDevServer(options: DevServerOptions): Promise<DevServer> {
  const { temporal, namespace } = options;
  if ('address' in temporal) {
    const { address } = temporal;
    await ensureNamespace({ address, namespace }, { own: false });
    return { address, namespace, uiUrl: process.env.TEMPORAL_UI_URL, stop: async () => {} };
  }
  const ports = options.ports ?? (await freePorts());
  const child = launch(temporal.path, serverArgs(options, ports));
  const stop = () => end(child);
  const address = `127.0.0.1:${ports.grpc}`;
  try {
    await answers(address, child);
    await ensureNamespace({ address, namespace }, { own: true });
  } catch (error) {
    await stop();
    throw error;
  }
  const uiUrl = options.headless ? undefined : `http://127.0.0.1:${ports.ui}`;
  return { address, namespace, uiUrl, pid: child.pid, stop };
}

/** The page of a run in the UI. */
export function runUrl(server: { uiUrl?: string; namespace: string }, workflowId: string, runId: string): string {
  // Times in ids keep their colons: a path may have them, and a person reads this.
  const segment = (text: string) => encodeURIComponent(text).replaceAll('%3A', ':');
  const path = [server.namespace, 'workflows', workflowId, runId].map(segment).join('/');
  return `${server.uiUrl ?? ''}/namespaces/${path}`;
}

function serverArgs(options: DevServerOptions, ports: { grpc: number; ui: number }): string[] {
  const { namespace, dbFile, headless, untuned } = options;
  const tuning = untuned ? [] : TUNING.flatMap((value) => ['--dynamic-config-value', value]);
  const pragmas = dbFile && !untuned ? PRAGMAS.flatMap((value) => ['--sqlite-pragma', value]) : [];
  const attributes = [SITE, WORKFLOW, OUTCOME].flatMap(({ name }) => ['--search-attribute', `${name}=Keyword`]);
  return [
    ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', `${ports.grpc}`, '--namespace', namespace],
    ...(headless ? ['--headless'] : ['--ui-ip', '127.0.0.1', '--ui-port', `${ports.ui}`]),
    ...(dbFile ? ['--db-filename', dbFile] : []),
    ...['--log-level', 'error', ...tuning, ...pragmas, ...attributes],
  ];
}

function launch(path: string, args: string[]): ChildProcess {
  // Else a killed parent leaves a server behind that holds the database file.
  const [program, prefix] = hasSetpriv() ? ['setpriv', ['--pdeathsig', 'TERM', '--', path]] : [path, []];
  // Secrets of the worker may stand in our environment.
  const env = baseEnv();
  // A group of its own: Ctrl-C ends our processes one after the other, the server last.
  return spawn(program, [...prefix, ...args], { stdio: ['ignore', 'ignore', 'pipe'], detached: true, env });
}

const hasSetpriv = () => spawnSync('setpriv', ['--version'], { stdio: 'ignore', env: baseEnv() }).status === 0;

async function answers(address: string, child: ChildProcess): Promise<void> {
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk).slice(-2000);
  });
  let spawnError: Error | undefined;
  child.on('error', (error) => {
    spawnError = error;
  });
  const until = Date.now() + START_LIMIT_MS;
  for (;;) {
    try {
      const connection = await Connection.connect({ address, connectTimeout: 1000 });
      await connection.close();
      return;
    } catch (cause) {
      const ended = spawnError?.message ?? ((child.exitCode ?? child.signalCode) ? `ended: ${said.trim()}` : '');
      if (ended || Date.now() > until)
        throw new Error(`Temporal's dev server ${ended || 'does not answer'}`, { cause });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const closed = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
  await closed;
  clearTimeout(timer);
}
