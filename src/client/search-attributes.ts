import type { Client, Connection } from '@temporalio/client';
import { defineSearchAttributeKey, type SearchAttributePair } from '@temporalio/common';
import type { WorkflowName } from '../core/names.js';

export const SITE = defineSearchAttributeKey('HoldfastSite', 'KEYWORD');
export const WORKFLOW = defineSearchAttributeKey('HoldfastWorkflow', 'KEYWORD');
/** Set by a workflow at its end, and only where it was started with HoldfastSite: an unregistered one would hang it. */
export const OUTCOME = defineSearchAttributeKey('HoldfastOutcome', 'KEYWORD');

const NAMES = [SITE.name, WORKFLOW.name, OUTCOME.name];
/** temporal.api.enums.v1.IndexedValueType */
const KEYWORD = 2;
const known = new WeakMap<Client, Promise<boolean>>();

/** Registers our search attributes where the server lets us; true where all three are there. Never throws, never takes longer than 5 s. */
export function registerSearchAttributes(client: Client): Promise<boolean> {
  const before = known.get(client);
  if (before) return before;
  const asked = register(client).catch(() => false);
  known.set(client, asked);
  return asked;
}

async function register(client: Client): Promise<boolean> {
  const { namespace } = client.options;
  const { operatorService } = client.connection as Connection;
  return client.withDeadline(Date.now() + 5000, async () => {
    const missing = async () => {
      const { customAttributes } = await operatorService.listSearchAttributes({ namespace });
      return NAMES.filter((name) => customAttributes?.[name] !== KEYWORD);
    };
    const lacking = await missing();
    if (lacking.length === 0) return true;
    const searchAttributes = Object.fromEntries(lacking.map((name) => [name, KEYWORD]));
    await operatorService.addSearchAttributes({ namespace, searchAttributes });
    return (await missing()).length === 0;
  });
}

/** What a run is started with, where the attributes are registered. */
export async function searchAttributes(
  client: Client,
  workflow: WorkflowName,
  site: string,
): Promise<SearchAttributePair[] | undefined> {
  if (!(await registerSearchAttributes(client))) return undefined;
  return [
    { key: SITE, value: site },
    { key: WORKFLOW, value: workflow },
  ];
}
