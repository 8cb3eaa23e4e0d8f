import type { Context, RunOptions, RunResult } from '../contracts.js';

/** One container as `docker inspect` has it; only what is used here. */
export interface Container {
  Id: string;
  Name: string;
  RestartCount: number;
  State: {
    Running: boolean;
    Paused: boolean;
    Restarting: boolean;
    StartedAt: string;
    ExitCode: number;
    Health?: { Status: string };
  };
  Config: { Labels: Record<string, string> | null; StopTimeout?: number };
  Mounts: { Type: string; Name?: string; Source: string; Destination: string }[];
}

/** How Compose is called here: as docker's plugin (v2) or as a program of its own (v1, and v2 in some distributions). */
export interface Compose {
  program: string;
  prefix: string[];
  version: string;
  major: number;
}

/** The daemon's address and credentials are the worker's own; the runner's bare environment does not carry them. */
function dockerEnv(): Record<string, string> {
  const names = [
    'DOCKER_HOST',
    'DOCKER_CONTEXT',
    'DOCKER_CONFIG',
    'DOCKER_TLS_VERIFY',
    'DOCKER_CERT_PATH',
    'DOCKER_API_VERSION',
  ];
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}

async function docker(args: string[], ctx: Context, options: RunOptions = {}): Promise<RunResult> {
  return ctx.run('docker', args, { env: dockerEnv(), timeoutMs: 30_000, ...options });
}

/** The daemon's version. Throws ToolMissing (no client), ToolFailed (no daemon). */
export async function dockerVersion(ctx: Context): Promise<string> {
  return (await docker(['version', '--format', '{{.Server.Version}}'], ctx)).stdout.trim();
}

/** Finds Compose: the plugin first. Throws ToolMissing. */
export async function findCompose(ctx: Context): Promise<Compose> {
  // A client without the plugin takes `compose` for an unknown command, with various exit codes and sometimes its help.
  const plugin = await docker(['compose', 'version', '--short'], ctx, {
    ok: Array.from({ length: 256 }, (_, code) => code),
  });
  const found = versionOf(plugin.exitCode === 0 ? plugin.stdout : '');
  if (found) return { program: 'docker', prefix: ['compose'], ...found };
  const { stdout } = await ctx.run('docker-compose', ['version', '--short'], { env: dockerEnv(), timeoutMs: 30_000 });
  return { program: 'docker-compose', prefix: [], ...(versionOf(stdout) ?? { version: 'unknown', major: 1 }) };
}

function versionOf(text: string): { version: string; major: number } | undefined {
  const version = /^v?(\d+)\.\d+\S*\s*$/.exec(text);
  return version ? { version: text.trim().replace(/^v/, ''), major: Number(version[1]) } : undefined;
}

export async function compose(
  tool: Compose,
  files: string[],
  project: string | undefined,
  args: string[],
  ctx: Context,
  options: RunOptions = {},
): Promise<RunResult> {
  const where = [...files.flatMap((file) => ['-f', file]), ...(project ? ['-p', project] : [])];
  return ctx.run(tool.program, [...tool.prefix, ...where, ...args], {
    timeoutMs: 120_000,
    ...options,
    env: { ...dockerEnv(), ...options.env },
  });
}

/** Runs a program in a container that runs; `flags` are docker's own. It has no time limit unless one is asked for. */
export async function execInContainer(
  id: string,
  flags: string[],
  argv: string[],
  ctx: Context,
  options: RunOptions,
): Promise<RunResult> {
  return ctx.run('docker', ['exec', '-i', ...flags, id, ...argv], { ...options, env: dockerEnv() });
}

/** All containers of a project, running or not, without those of `compose run`. Works for v1 and v2, and needs no compose file. */
export async function projectContainers(project: string, ctx: Context): Promise<Container[]> {
  const { stdout } = await docker(
    [
      'ps',
      '--all',
      '--quiet',
      '--no-trunc',
      '--filter',
      `label=com.docker.compose.project=${project}`,
      '--filter',
      'label=com.docker.compose.oneoff=False',
    ],
    ctx,
  );
  const ids = stdout.split('\n').filter(Boolean);
  if (ids.length === 0) return [];
  // Exit code 1: one of them was removed meanwhile; the others are printed.
  const inspected = await docker(['inspect', '--type', 'container', ...ids], ctx, { ok: [0, 1] });
  return JSON.parse(inspected.stdout) as Container[];
}

export const labelOf = (container: Container, name: string): string =>
  container.Config.Labels?.[`com.docker.compose.${name}`] ?? '';

/** Stops a container and waits for it; the daemon kills it after `graceSeconds`. A paused one could not hear the signal. */
export async function stopContainer(container: Container, graceSeconds: number, ctx: Context): Promise<void> {
  if (container.State.Paused) await docker(['unpause', container.Id], ctx, { ok: [0, 1] });
  await docker(['stop', '--time', String(graceSeconds), container.Id], ctx, {
    ok: [0, 1],
    timeoutMs: (graceSeconds + 10) * 1000,
  });
}

/** Starts containers that exist; false where the daemon refuses one (its network or image is gone). */
export async function startContainers(containers: Container[], ctx: Context): Promise<boolean> {
  for (const { Id, State } of containers) if (State.Paused) await docker(['unpause', Id], ctx, { ok: [0, 1] });
  const idle = containers.filter(({ State }) => !State.Running).map(({ Id }) => Id);
  if (idle.length === 0) return true;
  return (await docker(['start', ...idle], ctx, { ok: [0, 1] })).exitCode === 0;
}

/** Where a named volume lies on this host; undefined where there is no such volume yet. */
export async function volumePath(name: string, ctx: Context): Promise<string | undefined> {
  const { exitCode, stdout } = await docker(['volume', 'inspect', '--format', '{{.Mountpoint}}', '--', name], ctx, {
    ok: [0, 1],
  });
  return exitCode === 0 ? stdout.trim() : undefined;
}
