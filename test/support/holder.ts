import type { Holder } from '../../activities/site/api.js';

export const holderOf = (workflowId: string): Holder => ({
  namespace: 'default',
  namespaceId: 'n',
  workflowId,
  firstRunId: `${workflowId}-first`,
  workflow: 'backup',
});
