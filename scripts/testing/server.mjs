import { tsImport } from 'tsx/esm/api';

/** One dev server for all serial suites; each makes namespaces of its own on it. */
export async function startServer(say) {
  const { startDevServer, findTemporal } = await tsImport('../../worker/dev-server.ts', import.meta.url);
  const { TEMPORAL_ADDRESS: _, ...env } = process.env;
  const temporal = await findTemporal({ env, say });
  const server = await startDevServer({ temporal, namespace: 'default', headless: true });
  return { env: { TEMPORAL_ADDRESS: server.address, TEMPORAL_CLI_PATH: temporal.path }, stop: server.stop };
}
