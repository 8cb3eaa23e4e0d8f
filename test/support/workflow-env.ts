import type { TestContext } from 'node:test';
import type { WorkflowHandle } from '@temporalio/client';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, Runtime, Worker, type WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { hostQueue, TASK_QUEUE, transferQueue } from '../../src/core/names.js';
import { bundle } from '../../worker/bundle.js';
import type { Steps } from './mock-steps.js';

export interface WorkflowLab {
  env: TestWorkflowEnvironment;
  /** Starts a workflow with these steps, gives its handle to `use`, and ends the workers. */
  run: <T>(type: string, input: unknown, steps: Steps, use: (handle: WorkflowHandle) => Promise<T>) => Promise<T>;
  end: () => Promise<void>;
}

/** A time-skipping server and the real workflows; undefined, with the reason said, where there is no such server. */
export async function workflowLab(): Promise<WorkflowLab | undefined> {
  const path = process.env.TEMPORAL_TEST_SERVER_PATH;
  if (!path) return undefined;
  Runtime.install({ logger: new DefaultLogger('ERROR'), telemetryOptions: { logging: { filter: 'ERROR' } } });
  const env = await timeSkipping(path);
  const workflowBundle: WorkflowBundleWithSourceMap = await bundle();
  let count = 0;
  return {
    env,
    end: () => env.teardown(),
    async run(type, input, steps, use) {
      const throttle = { maxHeartbeatThrottleInterval: '200ms', defaultHeartbeatThrottleInterval: '200ms' } as const;
      const common = { connection: env.nativeConnection, namespace: env.namespace ?? 'default', ...throttle };
      const activities = steps as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
      const workers = await Promise.all([
        // Every task replays from the start: what is not deterministic shows here.
        Worker.create({ ...common, taskQueue: TASK_QUEUE, workflowBundle, maxCachedWorkflows: 0 }),
        Worker.create({ ...common, taskQueue: hostQueue('local'), activities }),
        Worker.create({ ...common, taskQueue: transferQueue('local'), activities }),
      ]);
      const runs = workers.map((worker) => worker.run());
      try {
        const handle = await env.client.workflow.start(type, {
          taskQueue: TASK_QUEUE,
          workflowId: `${type}-${++count}`,
          args: [input],
        });
        return await use(handle);
      } finally {
        for (const worker of workers) worker.shutdown();
        await Promise.all(runs);
      }
    },
  };
}

/** A server of Temporal that skips time. */
export function timeSkipping(path: string): Promise<TestWorkflowEnvironment> {
  return patiently(() =>
    TestWorkflowEnvironment.createTimeSkipping({ server: { executable: { type: 'existing-path', path } } }),
  );
}

/** The SDK gives the server 5 s to answer, which a Java program on a busy machine may miss. */
async function patiently<T>(start: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start();
    } catch (error) {
      if (attempt === 20) throw error;
    }
  }
}

export function skipWithoutServer(t: TestContext, lab: WorkflowLab | undefined): lab is undefined {
  if (!lab) t.skip('no time-skipping server: TEMPORAL_TEST_SERVER_PATH is not set');
  return lab === undefined;
}
