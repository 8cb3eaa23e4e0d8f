import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** HOLDFAST_STATE_DIR, else /var/lib/holdfast for root, else ~/.local/state/holdfast: as the worker has it. */
export function stateDirectory(env: NodeJS.ProcessEnv = process.env): string {
  if (env.HOLDFAST_STATE_DIR) return resolve(env.HOLDFAST_STATE_DIR);
  return process.getuid?.() === 0 ? '/var/lib/holdfast' : join(homedir(), '.local/state/holdfast');
}
