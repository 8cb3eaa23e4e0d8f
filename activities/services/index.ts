import type { ServiceSpec } from '../../src/core/plan.js';
import type { Service } from '../contracts.js';
import { command } from './command.js';
import { compose } from './compose.js';
import { none } from './none.js';
import { processService } from './process.js';
import { systemd } from './systemd.js';

/** Every way in which a site can be stopped and started. */
export const services: Record<ServiceSpec['kind'], Service> = {
  compose,
  systemd,
  process: processService,
  command,
  none,
};
