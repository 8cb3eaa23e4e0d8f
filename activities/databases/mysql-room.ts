import { stat } from 'node:fs/promises';
import { formatBytes } from '../../src/core/durations.js';
import type { Context } from '../contracts.js';
import { whereServerIs } from '../tools/container-exec.js';
import type { MysqlServer, MysqlSpec } from '../tools/mysql.js';

/** Tables with their indexes, and the log of the load, take more than their text does. */
const GROWS = 2;
const HERE = ['localhost', '127.0.0.1', '::1'];

/**
 * Room for a second copy on the disk of a server that runs here: a full one would take the live application down. Throws NoSpace. Of a
 * server elsewhere nothing can be told.
 */
export async function roomFor(spec: MysqlSpec, file: string, server: MysqlServer, ctx: Context): Promise<void> {
  if (spec.host !== undefined && !spec.container && !HERE.includes(spec.host)) return;
  const [[dir = ''] = []] = await server.query('SELECT @@datadir;');
  const { exitCode, stdout } = await whereServerIs(spec.container, undefined, ctx, (run) =>
    run('df', ['-Pk', '--', dir], { ok: [0, 1] }),
  );
  const free = Number(stdout.trim().split('\n').at(-1)?.split(/\s+/)[3]) * 1024;
  // Where a tunnel leads elsewhere, its directory is not on this machine.
  if (exitCode !== 0 || Number.isNaN(free)) return;
  const needed = (await stat(file)).size * GROWS;
  if (free < needed)
    throw ctx.fail(
      'NoSpace',
      `the disk of the server of ${spec.name} has ${formatBytes(free)} free; loading the dump needs ${formatBytes(needed)}`,
    );
}
