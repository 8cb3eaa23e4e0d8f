import { stat } from 'node:fs/promises';
import { isFailure } from '../../src/core/failures.js';
import type { ServiceSpec } from '../../src/core/plan.js';
import type { Context, Service } from '../contracts.js';
import {
  type Container,
  compose as callCompose,
  dockerVersion,
  findCompose,
  labelOf,
  projectContainers,
  startContainers,
  stopContainer,
  volumePath,
} from '../tools/docker.js';
import { composeFiles, declaredMounts, projectName, readConfig } from './compose-project.js';
import { until } from './until.js';

type Spec = Extract<ServiceSpec, { kind: 'compose' }>;

/** How long a service waits for one that it depends on "when healthy". */
const DEPENDENCY_MS = 60_000;
/** Exit code of a main process that the daemon killed. */
const KILLED = 137;

const nameOf = async (spec: Spec, ctx: Context) => spec.project ?? (await projectName(spec.file, ctx));
const runs = ({ State }: Container) => State.Running || State.Restarting;

/** Containers per service, looked up by the project's and the service's name each time: ids change whenever Compose recreates one. */
async function containers(spec: Spec, ctx: Context): Promise<Map<string, Container[]>> {
  const all = await projectContainers(await nameOf(spec, ctx), ctx);
  return new Map(spec.services.map((name) => [name, all.filter((each) => labelOf(each, 'service') === name)]));
}

/** Changes with each start, also while stopped again and when the daemon restarts a container by its policy. */
const markOf = (each: Container) => `${each.Id.slice(0, 12)} ${each.State.StartedAt} ${each.RestartCount}`;

/**
 * Services of a compose project, v2 or v1. Stop and start go to docker itself: quick, and they need neither a compose file
 * that parses nor one that still exists. Compose is asked for the file's meaning, and for containers that were removed.
 */
export const compose: Service<Spec> = {
  kind: 'compose',

  async preflight(spec, ctx) {
    if (!(await stat(spec.file).catch(() => undefined))?.isFile())
      throw ctx.fail('ServiceUnknown', `the compose file is not there: ${spec.file}`);
    const tool = await findCompose(ctx);
    const daemon = await dockerVersion(ctx).catch((cause) => {
      if (isFailure(cause, 'ToolMissing')) throw cause;
      throw ctx.fail('ToolFailed', 'the docker daemon does not answer', {
        advice: 'start it, or let the worker use its socket',
        cause,
      });
    });
    const known = Object.keys((await readConfig(tool, spec.file, ctx, spec.project)).services ?? {});
    const unknown = spec.services.filter((name) => !known.includes(name));
    if (unknown.length > 0)
      throw ctx.fail('ServiceUnknown', `${spec.file} has no service ${unknown.join(', ')}`, {
        advice: `name some of: ${known.join(', ')}`,
      });
    for (const each of [...(await containers(spec, ctx)).values()].flat())
      if ((each.Config.StopTimeout ?? 0) * 1000 > spec.stopTimeoutMs)
        ctx.note(
          `${labelOf(each, 'service')} asks for ${each.Config.StopTimeout} s to stop, it gets ${spec.stopTimeoutMs / 1000} s`,
        );
    return { docker: daemon, compose: tool.version };
  },

  async status(spec, ctx) {
    const units = [...(await containers(spec, ctx))].map(([name, found]) => ({
      name,
      running: found.some(runs),
      ...(found.length > 0 ? { startedAt: found.map(markOf).sort().join(', ') } : {}),
    }));
    return { units };
  },

  async stop(spec, running, ctx) {
    const graceSeconds = Math.ceil(spec.stopTimeoutMs / 1000);
    for (const [name, found] of await containers(spec, ctx)) {
      if (!running.includes(name)) continue;
      for (const container of found.filter(runs)) {
        if (container.State.Paused) ctx.note(`${name} was paused; it will run after its start`);
        await stopContainer(container, graceSeconds, ctx).catch((cause) => {
          if (!isFailure(cause, 'ToolStalled')) throw cause;
          throw ctx.fail('StopFailed', `docker could not stop ${name} in ${graceSeconds + 10} s`, { cause });
        });
      }
    }
    for (const [name, found] of await containers(spec, ctx)) {
      if (!running.includes(name)) continue;
      if (found.some(runs)) throw ctx.fail('StopFailed', `${name} still runs although docker was told to stop it`);
      if (found.some(({ State }) => State.ExitCode === KILLED))
        ctx.note(`${name} had to be killed (exit code ${KILLED})`);
    }
  },

  async start(spec, units, ctx) {
    for (const name of [...spec.services].reverse().filter((each) => units.includes(each))) {
      const found = (await containers(spec, ctx)).get(name) ?? [];
      await dependencies(spec, found, ctx);
      if (found.length === 0 || !(await startContainers(found, ctx))) await create(spec, name, ctx);
      const now = (await containers(spec, ctx)).get(name) ?? [];
      if (!now.some(runs))
        throw ctx.fail(
          'StartFailed',
          `${name} ended right after its start (exit code ${now[0]?.State.ExitCode ?? 'unknown'})`,
        );
    }
  },

  async volumes(spec, ctx) {
    const project = await nameOf(spec, ctx);
    const mounts = declaredMounts(
      await readConfig(await findCompose(ctx), spec.file, ctx, spec.project),
      project,
      spec.file,
    );
    const live = await projectContainers(project, ctx);
    const found = new Map<string, { name: string; path?: string }>();
    for (const { service, target, bind, volume, key } of mounts) {
      if (bind && (await isSpecial(bind))) continue;
      const anonymous = live
        .find((each) => labelOf(each, 'service') === service)
        ?.Mounts.find(({ Destination }) => Destination === target);
      const path = bind ?? (volume ? await volumePath(volume, ctx) : anonymous?.Source);
      const name = bind ?? key ?? `${service}:${target}`;
      found.set(name, path ? { name, path } : { name });
    }
    return [...found.values()];
  },
};

/** Containers are gone, or docker refuses them (a removed network): Compose makes this service anew, and touches no other. */
async function create(spec: Spec, name: string, ctx: Context): Promise<void> {
  ctx.note(`${name} was made anew by compose: its container was gone or could not be started`);
  const tool = await findCompose(ctx);
  await callCompose(
    tool,
    await composeFiles(spec.file),
    await nameOf(spec, ctx),
    ['up', '-d', '--no-deps', name],
    ctx,
    {
      outlives: true,
    },
  ).catch((cause) => {
    if (!isFailure(cause)) throw cause;
    throw ctx.fail('StartFailed', `compose could not start ${name}`, { cause });
  });
}

/** Honours `condition: service_healthy`, as `compose start` would, for dependencies that are ours to start. v2 writes the label. */
async function dependencies(spec: Spec, found: Container[], ctx: Context): Promise<void> {
  const wanted = found.flatMap((each) => labelOf(each, 'depends_on').split(',')).map((each) => each.split(':'));
  for (const [name = '', condition] of wanted) {
    if (condition !== 'service_healthy' || !spec.services.includes(name)) continue;
    const healthy = async () =>
      ((await containers(spec, ctx)).get(name) ?? []).every(
        ({ State }) => !State.Running || State.Health?.Status !== 'starting',
      );
    if (!(await until(healthy, DEPENDENCY_MS, ctx)))
      ctx.note(`${name} is not healthy yet; what depends on it starts anyway`);
  }
}

/** Sockets and devices hold no data. */
async function isSpecial(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && !found.isFile() && !found.isDirectory();
}
