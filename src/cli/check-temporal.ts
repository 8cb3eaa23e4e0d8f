import type { Client } from '@temporalio/client';
import { pollers } from '../client/pollers.js';
import { applySchedules } from '../client/schedules.js';
import type { Config } from '../config/schema.js';
import { type Finding, failed, ok, warn } from '../core/findings.js';
import { hostQueue, TASK_QUEUE, transferQueue } from '../core/names.js';

const DAY_SECONDS = 86_400;
const LEAST_RETENTION_DAYS = 90;

/** Workers, retention and schedules, as Temporal has them. */
export async function checkTemporal(client: Client, config: Config, host: string): Promise<Finding[]> {
  return [
    await retention(client),
    ...(await workers(client, host)),
    ...(await otherHosts(client, config, host)),
    await schedules(client, config, host),
  ];
}

async function retention(client: Client): Promise<Finding> {
  const { namespace } = client.options;
  const { config } = await client.workflowService.describeNamespace({ namespace });
  const days = Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0) / DAY_SECONDS;
  const said = `namespace ${namespace} keeps finished runs for ${Math.round(days)} ${Math.round(days) === 1 ? 'day' : 'days'}`;
  if (days >= LEAST_RETENTION_DAYS) return ok('Temporal', said);
  return warn(
    'Temporal',
    `${said}; reports stay on this host, but their runs vanish from the UI; keep them longer`,
    `temporal operator namespace update -n ${namespace} --retention 365d`,
  );
}

async function workers(client: Client, host: string): Promise<Finding[]> {
  const queues = [
    { queue: TASK_QUEUE, type: 'workflow' as const },
    { queue: hostQueue(host), type: 'activity' as const },
    { queue: transferQueue(host), type: 'activity' as const },
  ];
  return Promise.all(
    queues.map(async ({ queue, type }) => {
      const found = await pollers(client, queue, type);
      if (found.length > 0) return ok(`queue ${queue}`, found.map(({ identity }) => identity).join(', '));
      return failed(`queue ${queue}`, 'no worker polls it, so a run would only wait; start one', 'holdfast worker');
    }),
  );
}

/** Machines that this one's runs ask for their part: without their worker the run waits for hours, and ends partial. */
async function otherHosts(client: Client, { repositories }: Config, host: string): Promise<Finding[]> {
  const others = new Set(Object.values(repositories).flatMap((one) => [one.host, one.proveOn]));
  return Promise.all(
    [...others].flatMap((other) =>
      other === undefined || other === host
        ? []
        : [
            pollers(client, hostQueue(other), 'activity').then((found) =>
              found.length > 0
                ? ok(`host ${other}`, found.map(({ identity }) => identity).join(', '))
                : warn(
                    `host ${other}`,
                    'no worker polls for it, so its repositories wait; start one there',
                    'holdfast worker',
                  ),
            ),
          ],
    ),
  );
}

async function schedules(client: Client, config: Config, host: string): Promise<Finding> {
  const changes = await applySchedules(client, config, { dryRun: true, host });
  const open = changes.filter(({ change }) => change !== 'keep');
  if (open.length === 0) return ok('schedules', `${changes.length}, as in the config`);
  const said = open.map(({ id, change }) => `${change} ${id}`).join(', ');
  return warn('schedules', `not as in the config (${said}); make them so`, 'holdfast schedule apply');
}
