import type { StateDir } from './site/api.js';

/** What the steps of one worker share. The config stays a path: it is read anew by each `prepare`. */
export interface Deps {
  state: StateDir;
  host: string;
  hostId: string;
  configPath: string;
  /** Asks Temporal about another run that has a site; absent in tests that have no server. */
  runState?: (holder: {
    namespace: string;
    workflowId: string;
    firstRunId: string;
  }) => Promise<'open' | 'closed' | 'unknown'>;
  namespace: string;
  namespaceId: string;
  /** How long a step waits for an application's health before it answers; absent: each step's own default. */
  healthPatienceMs?: number;
}
