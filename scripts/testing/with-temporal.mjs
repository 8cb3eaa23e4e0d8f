import { spawnSync } from 'node:child_process';
import { ROOT, setup } from '../setup.mjs';

/** Installs what is missing, then runs one of our scripts with Temporal's command at hand and no server of the person who runs it. */
export async function runWithTemporal(script) {
  setup('test', console.error);
  // Only once there is a node_modules.
  const { temporalPath } = await import('./server.mjs');
  const temporal = await temporalPath(process.env, console.error);
  if (!temporal) process.exit(1);
  const { TEMPORAL_ADDRESS: _, TEMPORAL_NAMESPACE: __, ...env } = process.env;
  const { status } = spawnSync(process.execPath, ['--import', 'tsx', script, ...process.argv.slice(2)], {
    cwd: ROOT,
    env: { ...env, TEMPORAL_CLI_PATH: temporal },
    stdio: 'inherit',
  });
  process.exitCode = status ?? 1;
}
