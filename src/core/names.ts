/** Names of queues, workflows and hosts: one place, so that a schedule, the command and an example agree. */

/** The task queue of every workflow; every worker polls it. */
export const TASK_QUEUE = 'holdfast';

/** The host that a person with one machine never has to name. */
export const DEFAULT_HOST = 'local';

export const WORKFLOWS = [
  'backup',
  'restore',
  'restoreTest',
  'verify',
  'prune',
  'repair',
  'watch',
  'guardedChange',
] as const;
export type WorkflowName = (typeof WORKFLOWS)[number];

/** A site or repository name: lower case, digits and dashes, at most 40 characters. */
export const NAME = /^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/;

export interface Address {
  site: string;
  host: string;
}

/** `cms` → site cms on host local; `cms@web1` → site cms on host web1. */
export function parseAddress(text: string): Address {
  const at = text.indexOf('@');
  return at < 0 ? { site: text, host: DEFAULT_HOST } : { site: text.slice(0, at), host: text.slice(at + 1) };
}

export function formatAddress({ site, host }: Address): string {
  return host === DEFAULT_HOST ? site : `${site}@${host}`;
}

/** Queue of the steps that must never wait: prepare, stop, checkpoint, dump, start, finish. */
export function hostQueue(host: string): string {
  return `${TASK_QUEUE}@${host}`;
}

/** Queue of the steps that take long: warm pass, store, verify, prune, restore. */
export function transferQueue(host: string): string {
  return `${hostQueue(host)}/transfer`;
}

const SLUG: Record<WorkflowName, string> = {
  backup: 'backup',
  restore: 'restore',
  restoreTest: 'restore-test',
  verify: 'verify',
  prune: 'prune',
  repair: 'repair',
  watch: 'watch',
  guardedChange: 'guarded-change',
};

/** `backup-cms-2026-11-21T03:00:00Z`; seconds, UTC. Schedules make the same form by themselves from the prefix. */
export function workflowId(workflow: WorkflowName, address: Address, at: Date): string {
  return `${workflowIdPrefix(workflow, address)}-${at.toISOString().slice(0, 19)}Z`;
}

export function workflowIdPrefix(workflow: WorkflowName, address: Address): string {
  return `${SLUG[workflow]}-${formatAddress(address)}`;
}

/** `fleet-backup-2026-11-21T03:00:00Z`. */
export function fleetId(workflow: WorkflowName, at: Date): string {
  return `fleet-${SLUG[workflow]}-${at.toISOString().slice(0, 19)}Z`;
}

export function isFleetId(id: string): boolean {
  return id.startsWith('fleet-');
}

/** What each of our schedules is called: `holdfast-backup-cms`; the prefix is how `schedule apply` knows its own. */
export function scheduleId(workflow: WorkflowName, address: Address): string {
  return `${TASK_QUEUE}-${workflowIdPrefix(workflow, address)}`;
}

/** Eight characters that tell a snapshot from others: of its id where that is a hash, else of its capture. */
export function shortId({ id, captureId }: { id: string; captureId: string }): string {
  return (/^[0-9a-f]{64}$/.test(id) ? id : captureId).slice(0, 8);
}
