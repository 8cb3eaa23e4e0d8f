import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type MysqlServer, type MysqlSpec, sqlName } from '../../activities/tools/mysql.js';
import { withThrowaway } from '../../activities/tools/mysql-throwaway.js';
import { findProgram } from '../../activities/tools/programs.js';
import { testContext } from './context.js';

/** Why tests that need a server cannot run here; false where they can. */
export const NO_MYSQL: string | false =
  findProgram('mariadbd', `${process.env.PATH}:/usr/sbin`) && findProgram('mariadb')
    ? false
    : 'no mariadbd on this machine (apt-get install mariadb-server)';

export interface LiveMysql {
  server: MysqlServer;
  /** Reached over its socket, as its administrator. */
  spec: (name: string, schemas: string[], more?: Partial<MysqlSpec>) => MysqlSpec;
  /** Statements in a schema that is made anew. */
  fill: (schema: string, script: string) => Promise<void>;
  close: () => Promise<void>;
}

/** A MariaDB of the tests' own, with no network. */
export async function openMysql(): Promise<LiveMysql> {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-mariadb-'));
  const ctx = await testContext({ step: 'live server' });
  let end = (): void => {};
  const ended = new Promise<void>((done) => {
    end = done;
  });
  let closed: Promise<void> = Promise.resolve();
  const server = await new Promise<MysqlServer>((begun, failed) => {
    closed = withThrowaway(dir, ctx, (each) => {
      begun(each);
      return ended;
    });
    closed.catch(failed);
  });
  return {
    server,
    spec: (name, schemas, more = {}) => ({
      ...{ kind: 'mysql', name, mode: 'online', format: 'sql', grants: false, schemas, user: 'root' },
      ...(more.port === undefined ? { socket: join(dir, 'data', 's') } : {}),
      ...more,
    }),
    fill: async (schema, script) => {
      await server.execute(
        `DROP DATABASE IF EXISTS ${sqlName(schema)}; CREATE DATABASE ${sqlName(schema)} CHARACTER SET utf8mb4; USE ${sqlName(schema)};\n${script}\n`,
      );
    },
    close: async () => {
      end();
      await closed;
      await rm(dir, { recursive: true, force: true });
      await rm(ctx.state.root, { recursive: true, force: true });
    },
  };
}
