import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { isFailure } from '../../src/core/failures.js';
import type { Context } from '../contracts.js';
import { wasKilled } from '../tools/killed.js';
import type { MysqlServer } from '../tools/mysql.js';
import { withThrowaway } from '../tools/mysql-throwaway.js';
import { assertWhole } from './mysql-text.js';

/**
 * Loads dumps, one after the other, into a server of our own with its data below `dir`, and lets `use` ask it: `rows` takes a query that
 * selects one JSON text per row. The server has ended when this returns. Throws ToolMissing where the machine has no server program,
 * DumpIncomplete for a cut dump, DatabaseCorrupt for one that does not load.
 */
export async function withScratchServer<T>(
  dumps: readonly string[],
  dir: string,
  ctx: Context,
  use: (server: MysqlServer) => Promise<T>,
): Promise<T> {
  for (const dump of dumps) await assertWhole(dump, ctx);
  return withThrowaway(dir, ctx, async (server) => {
    for (const dump of dumps) {
      await server.execute(createReadStream(dump)).catch((cause) => {
        ctx.signal.throwIfAborted();
        throw isFailure(cause, 'ToolFailed', 'DatabaseMissing', 'DatabaseDenied') && !wasKilled(cause)
          ? ctx.fail('DatabaseCorrupt', `${basename(dump)} does not load into a server`, { cause })
          : cause;
      });
    }
    return use(server);
  });
}
