import { runWatchdog } from '../../worker/watchdog.js';

/** The watchdog as a process of its own: `<state>`. */
await runWatchdog({ stateDir: process.argv[2] as string, signal: new AbortController().signal });
