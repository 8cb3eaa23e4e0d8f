import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { type NativeConnection, Worker } from '@temporalio/worker';
import type { Deps } from '../activities/deps.js';
import { hostSteps, transferSteps } from '../activities/index.js';
import { openState, readHostId } from '../activities/site/state.js';
import { failure } from '../src/core/failures.js';
import { DEFAULT_HOST, hostQueue, TASK_QUEUE, transferQueue } from '../src/core/names.js';
import { HOLDFAST_VERSION } from '../src/core/version.js';
import { workflowBundle } from './bundle.js';

export interface WorkersOptions {
  connection: NativeConnection;
  namespace: string;
  /** Default: ./holdfast.yaml, then /etc/holdfast/holdfast.yaml, as the command has it. */
  configPath?: string;
  stateDir?: string;
  host?: string;
  /** How many long steps this host runs at once; default 4. */
  transfers?: number;
}

/** Cancels reach a step on the answer to its heartbeat: so often one is sent at least. */
const HEARTBEAT_THROTTLE = '2s';

const CONFIG_PLACES = ['holdfast.yaml', '/etc/holdfast/holdfast.yaml'] as const;

/** The three workers of a host: workflows, the steps that must never wait, and the steps that take long. */
export async function createWorkers(options: WorkersOptions): Promise<Worker[]> {
  const { connection, namespace, transfers } = options;
  const client = new Client({ connection, namespace });
  const deps = await depsOf(options, client);
  await mustBeAlone(client, deps);
  return workersAround({
    ...{ connection, namespace, host: deps.host, identity: identityOf(deps) },
    ...{ hostSteps: { ...hostSteps(deps) }, transferSteps: { ...transferSteps(deps) } },
    ...(transfers === undefined ? {} : { transfers }),
  });
}

interface Around {
  connection: NativeConnection;
  namespace: string;
  identity: string;
  host: string;
  hostSteps: object;
  transferSteps: object;
  transfers?: number;
}

/** The workers of a host around its steps: the benchmark has steps of its own, which do nothing. */
export async function workersAround(around: Around): Promise<Worker[]> {
  const { connection, namespace, identity, host, transfers = 4 } = around;
  const common = {
    connection,
    namespace,
    identity,
    maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE,
    defaultHeartbeatThrottleInterval: HEARTBEAT_THROTTLE,
    // Activities that start an application must not be cut off by a restart of the worker.
    shutdownGraceTime: '1s',
  } as const;
  const workflows = {
    ...common,
    taskQueue: TASK_QUEUE,
    workflowBundle: await workflowBundle(),
    // The next step of a run whose worker has died waits so long for that worker, and the application may be down meanwhile.
    stickyQueueScheduleToStartTimeout: '1s',
  };
  const hosts = { ...common, taskQueue: hostQueue(host), activities: around.hostSteps };
  const transfer = {
    ...common,
    taskQueue: transferQueue(host),
    activities: around.transferSteps,
    maxConcurrentActivityTaskExecutions: transfers,
  };
  return Promise.all([Worker.create(workflows), Worker.create(hosts), Worker.create(transfer)]);
}

async function depsOf({ namespace, configPath, stateDir, host }: WorkersOptions, client: Client): Promise<Deps> {
  const state = await openState(stateDir);
  const described = await client.workflowService.describeNamespace({ namespace });
  return {
    state,
    host: host ?? DEFAULT_HOST,
    hostId: await readHostId(state),
    configPath:
      configPath ??
      CONFIG_PLACES.map((place) => resolve(place)).find((place) => existsSync(place)) ??
      resolve(CONFIG_PLACES[0]),
    namespace,
    namespaceId: described.namespaceInfo?.id ?? namespace,
    runState: async ({ workflowId, firstRunId }) => {
      try {
        const run = await client.workflow.getHandle(workflowId, firstRunId).describe();
        return run.status.name === 'RUNNING' ? 'open' : 'closed';
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return 'unknown';
        throw error;
      }
    },
  };
}

/** `local/1f0c2a9b holdfast 0.1.0 pid 4711`: names machine and identity in the UI. */
function identityOf({ host, hostId }: Deps): string {
  return `${host}/${hostId.slice(0, 8)} holdfast ${HOLDFAST_VERSION} pid ${process.pid}`;
}

/** A queue's name is not a host's identity: two machines of one name would stop each other's applications. */
async function mustBeAlone(client: Client, { host, hostId, namespace }: Deps): Promise<void> {
  const { pollers } = await client.workflowService.describeTaskQueue({
    namespace,
    taskQueue: { name: hostQueue(host) },
    taskQueueType: 2,
  });
  const others = (pollers ?? []).filter(({ identity, lastAccessTime }) => {
    const seenMs = Number(lastAccessTime?.seconds ?? 0) * 1000;
    return (
      identity?.startsWith(`${host}/`) &&
      !identity.startsWith(`${host}/${hostId.slice(0, 8)} `) &&
      Date.now() - seenMs < 60_000
    );
  });
  if (others.length === 0) return;
  throw failure('WrongHost', { step: 'worker', host, what: `another machine works as host ${host} already` });
}
