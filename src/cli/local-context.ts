import { hostname } from 'node:os';
import { defaultStateDir, openState } from '../../activities/site/state.js';
import { createContext } from '../../activities/tools/context.js';
import { resolveSecret } from '../config/secrets.js';
import type { Cli } from './context.js';

/** What parts need, for a command that works without Temporal; the programs' output goes to the log named after it. */
export async function localContext(cli: Cli, step: string) {
  const state = await openState(defaultStateDir(cli.env));
  const notes: string[] = [];
  const ctx = createContext({
    state,
    step,
    host: hostname(),
    signal: new AbortController().signal,
    log: `${step}.log`,
    note: (text) => notes.push(text),
    resolve: (ref, { run, fail }) => resolveSecret(ref, { run, fail, env: cli.env }),
  });
  return { ctx, state, notes };
}
