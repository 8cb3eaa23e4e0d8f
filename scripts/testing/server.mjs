import { tsImport } from 'tsx/esm/api';

const load = () => tsImport('../../worker/dev-server.ts', import.meta.url);

/** Path of the `temporal` command, fetched where it is nowhere; undefined, with the reason said, where it cannot be had. */
export async function temporalPath(env, say) {
  const { findTemporal } = await load();
  return findTemporal({ env, say }).then(
    ({ path }) => path,
    (error) => void say(`setup: ${error.message}`),
  );
}

/** A compiled copy of the checkout for all files that start the command: `dir`, and `remove`. */
export async function buildOnce() {
  const { buildLab } = await tsImport('../../test/support/lab-build.ts', import.meta.url);
  return buildLab();
}

/** One dev server for all serial suites; each makes namespaces of its own on it. */
export async function startServer(path) {
  const { startDevServer } = await load();
  const { address, stop } = await startDevServer({ temporal: { path }, namespace: 'default', headless: true });
  return { env: { TEMPORAL_ADDRESS: address }, stop };
}
