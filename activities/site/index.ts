export * from './api.js';
export { assertStopped } from './assert-stopped.js';
export { isHealthy, waitHealthy } from './health.js';
export { clearJournal, forgetJournals, once } from './journal.js';
export { recoverAll } from './recover.js';
export { openSite } from './site.js';
export { defaultStateDir, openState, readHostId } from './state.js';
export { endStrays } from './strays.js';
export { watchdogAlive } from './watchdog-status.js';
