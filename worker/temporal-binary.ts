import { execFile } from 'node:child_process';
import { accessSync, constants, mkdirSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const CLI_VERSION = 'v1.5.1';
const DOWNLOAD_LIMIT_MS = 120_000;
const BUILD_LIMIT_MS = 1_800_000;

/** A running server, or the `temporal` command that can be one. */
export type Temporal = { address: string } | { path: string };

interface FindOptions {
  env?: NodeJS.ProcessEnv;
  say?: (line: string) => void;
  /** Whether the command may be fetched where it is nowhere; default true. */
  fetch?: boolean;
}

/**
 * TEMPORAL_ADDRESS, TEMPORAL_CLI_PATH, `temporal` on PATH, our cache, Go's bin; else the SDK's download, else
 * `go install`, both into our cache. Throws where none can be had, and says how to get it.
 */
export async function findTemporal(options: FindOptions = {}): Promise<Temporal> {
  const { env = process.env, say = () => {}, fetch = true } = options;
  if (env.TEMPORAL_ADDRESS) return { address: env.TEMPORAL_ADDRESS };
  if (env.TEMPORAL_CLI_PATH) return { path: env.TEMPORAL_CLI_PATH };
  const cache = join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), '.cache'), 'holdfast', 'bin');
  const found = () =>
    [
      ...(env.PATH ?? '').split(delimiter).map((dir) => join(dir, 'temporal')),
      join(cache, 'temporal'),
      ...entries(join(cache, 'sdk')),
      join(env.GOPATH || join(env.HOME || homedir(), 'go'), 'bin', 'temporal'),
    ].find(isProgram);
  let path = found();
  for (const get of fetch ? [download, goInstall] : []) {
    if (path) break;
    await get(cache, env, say).catch((error) => say(`temporal: that failed: ${cause(error)}`));
    path = found();
  }
  if (path) return { path };
  throw new Error(
    'no Temporal server: set TEMPORAL_ADDRESS, or install the temporal command (https://docs.temporal.io/cli) and put it on PATH',
  );
}

/** The SDK gets its own server in the same way for tests; a devDependency, so an installed holdfast may lack it. */
async function download(cache: string, env: NodeJS.ProcessEnv, say: (line: string) => void): Promise<void> {
  let testing: string;
  try {
    testing = createRequire(import.meta.url).resolve('@temporalio/testing');
  } catch {
    return;
  }
  say('temporal: the SDK’s download of the dev server');
  const downloadDir = join(cache, 'sdk');
  mkdirSync(downloadDir, { recursive: true });
  const options = { server: { executable: { type: 'cached-download', downloadDir, ttl: '3650d' } } };
  const script = `require(${JSON.stringify(testing)}).TestWorkflowEnvironment.createLocal(${JSON.stringify(options)})
    .then((e) => e.teardown()).catch((e) => { console.error(e.message); process.exit(1); })`;
  await run(process.execPath, ['-e', script], { env, timeout: DOWNLOAD_LIMIT_MS });
}

async function goInstall(cache: string, env: NodeJS.ProcessEnv, say: (line: string) => void): Promise<void> {
  say(`temporal: go install github.com/temporalio/cli/cmd/temporal@${CLI_VERSION} (a few minutes, once)`);
  mkdirSync(cache, { recursive: true });
  const go = ['/usr/local/go/bin/go'].find(isProgram) ?? 'go';
  await run(go, ['install', `github.com/temporalio/cli/cmd/temporal@${CLI_VERSION}`], {
    env: { ...env, GOBIN: cache },
    timeout: BUILD_LIMIT_MS,
  });
}

const run = promisify(execFile);

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return path.startsWith('/');
  } catch {
    return false;
  }
}

function entries(dir: string): string[] {
  try {
    return readdirSync(dir).map((name) => join(dir, name));
  } catch {
    return [];
  }
}

/** What a person can use of an error: the end of its chain of wrappers. */
function cause(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message: string };
  const line = (stderr?.trim() || message).split('\n')[0] ?? '';
  return line.split(': ').slice(-3).join(': ');
}
