import type { ServiceSpec } from '../../src/core/plan.js';
import type { Service } from '../contracts.js';
import { command } from './command.js';
import { none } from './none.js';
import { processService } from './process.js';

/** Every way in which a site can be stopped and started. */
export const services = { process: processService, command, none } as Record<ServiceSpec['kind'], Service>;
