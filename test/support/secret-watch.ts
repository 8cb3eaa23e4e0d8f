import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Lab } from './lab.js';
import type { Search } from './secret-search.js';
import { type Run, searchRuns, toolOf, toolsOf } from './secret-spy.js';

/** What is there only for a moment: processes, their environment, and what the server knows of steps that run. */
export interface Watch {
  /** Ends it, and searches what was seen, with the runs of the spy. */
  end: (runs?: readonly Run[]) => Promise<void>;
}

interface Seen {
  pid: number;
  command: string;
  environment: string;
}

const EVERY_MS = 100;

export function watchLab(lab: Lab, search: Search): Watch {
  const parents = new Map<number, number>();
  const seen = new Map<string, Seen>();
  const pending = new Map<string, unknown>();
  let goes = true;
  const look = (): void => {
    for (const each of readdirSync('/proc')) {
      if (!/^\d+$/.test(each) || Number(each) === process.pid) continue;
      try {
        const stat = readFileSync(`/proc/${each}/stat`, 'utf8');
        const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
        // Whose parent has died is init's; who started it is what counts.
        if (parent > 1 || !parents.has(Number(each))) parents.set(Number(each), parent);
        const command = readFileSync(`/proc/${each}/cmdline`, 'utf8');
        // In the middle of its exec, or over: the next look knows who it is.
        if (command === '') continue;
        const key = `${each} ${command}`;
        if (seen.has(key)) continue;
        const environment = readFileSync(`/proc/${each}/environ`, 'latin1');
        // It has become another program between the two: the environment is not this one's.
        if (readFileSync(`/proc/${each}/cmdline`, 'utf8') !== command) continue;
        seen.set(key, { pid: Number(each), command, environment });
      } catch {} // It ended meanwhile.
    }
  };
  const ask = async (): Promise<void> => {
    for await (const { workflowId, runId, status } of lab.client.workflow.list({
      query: "ExecutionStatus='Running'",
    })) {
      if (status.name !== 'RUNNING') continue;
      const { raw } = await lab.client.workflow.getHandle(workflowId, runId).describe();
      for (const step of raw.pendingActivities ?? [])
        pending.set(`${runId} ${step.activityId} ${step.attempt} ${step.state}`, step);
    }
  };
  const every = (does: () => unknown) =>
    (async () => {
      while (goes) {
        await does();
        await new Promise((done) => setTimeout(done, EVERY_MS));
      }
    })();
  const loops = [every(look), every(() => ask().catch(() => {}))];
  return {
    end: async (runs = []) => {
      goes = false;
      await Promise.all(loops);
      for (const [, step] of pending) search.value('a step that runs', step);
      const tools = toolsOf(runs, parents);
      const [worker, watchdog] = [lab.worker()?.pid, lab.watchdogPid()];
      const holdfast = new Map<string, string>();
      for (const { pid, command } of seen.values()) {
        if (pid === worker || pid === watchdog) holdfast.set(command, pid === worker ? 'the worker' : 'the watchdog');
        if (command.includes(`${lab.dir}/wiki/tool.sh`)) tools.set(pid, 'tool.sh');
        if (/\bserver\.mjs\0/.test(command) && command.includes(lab.dir)) tools.set(pid, 'the application');
      }
      for (const { pid, command, environment } of seen.values()) {
        const ours = (root: number | undefined) => root !== undefined && within(pid, root, parents);
        // The tests' own servers have their passwords from the tests.
        if (!ours(worker) && !ours(watchdog) && !command.includes(lab.dir)) continue;
        const [program = '', script = ''] = command.split('\0');
        // Until it becomes the program, a new process is its parent in all that can be seen.
        const name = holdfast.get(command) ?? toolOf(pid, tools, parents) ?? `${basename(program)} ${basename(script)}`;
        search.text(`arguments of ${name}`, command);
        search.text(`environment of ${name}`, environment);
      }
      searchRuns(runs, tools, parents, search);
    },
  };
}

function within(pid: number, root: number, parents: ReadonlyMap<number, number>): boolean {
  for (let at = pid, n = 0; at > 1 && n < 50; at = parents.get(at) ?? 0, n++) if (at === root) return true;
  return false;
}

/** Everything that the server gives out about every run of the namespace: histories, descriptions, and answers to queries. */
export async function searchServer(lab: Lab, search: Search): Promise<string[]> {
  const { client } = lab;
  const runs: string[] = [];
  const { namespace } = client.options;
  for await (const { workflowId, runId } of client.workflow.list()) {
    runs.push(workflowId);
    const execution = { workflowId, runId };
    let nextPageToken: Uint8Array | undefined;
    do {
      const page = await client.workflowService.getWorkflowExecutionHistory({ namespace, execution, nextPageToken });
      search.value(`history of ${workflowId}`, page.history);
      nextPageToken = page.nextPageToken?.length ? page.nextPageToken : undefined;
    } while (nextPageToken);
    const handle = client.workflow.getHandle(workflowId, runId);
    search.value(`description of ${workflowId}`, (await handle.describe()).raw);
    for (const query of ['progress', 'report', '__temporal_workflow_metadata', '__stack_trace'])
      search.value(`query ${query} of ${workflowId}`, await handle.query(query).catch((error) => String(error)));
  }
  return runs;
}
