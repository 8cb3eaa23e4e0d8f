export type * from './api.js';
export { openSite } from './site.js';
export { openState } from './state.js';
export { watchdogAlive } from './watchdog-status.js';
