import type { ServiceSpec } from '../../src/core/plan.js';
import type { Service } from '../contracts.js';

/** A site that nothing has to be stopped for: it has no units, so there is nothing to stop or start. */
export const none: Service<Extract<ServiceSpec, { kind: 'none' }>> = {
  kind: 'none',
  preflight: async () => ({}),
  status: async () => ({ units: [] }),
  stop: async () => {},
  start: async () => {},
};
