import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { newestProgram } from '../../activities/tools/postgres.js';
import { createCli } from '../../src/cli/context.js';
import { buildProgram } from '../../src/cli/program.js';
import { createLab, type Lab } from './lab.js';
import { NO_MYSQL, openMysql } from './mysql-server.js';
import { openPostgres } from './postgres.js';
import { NO_S3, startS3 } from './s3-server.js';
import { type CarelessServers, careless, openCarelessServers, type Planted, plant } from './secret-places.js';
import { Search } from './secret-search.js';
import { openSpy, type Spy } from './secret-spy.js';
import { type Watch, watchLab } from './secret-watch.js';

export interface SecretLab {
  lab: Lab;
  planted: Planted;
  servers: CarelessServers;
  spy: Spy;
  search: Search;
  watch: Watch;
  /** Runs a command of ours in this process, as its owner would, and searches what it says. */
  says: (...args: string[]) => Promise<string>;
  end: () => Promise<void>;
}

/** A lab with secrets in every place, real servers that know them, a spy before every tool; or why there can be none. */
export async function openSecretLab(): Promise<SecretLab | string> {
  const absent = NO_MYSQL || NO_S3 || (newestProgram('postgres') ? '' : 'PostgreSQL is not installed');
  if (absent) return absent;
  const lab = await createLab({ engines: ['archive'], videos: 1, mb: 1, dearRestic: true });
  if (typeof lab === 'string') return lab;
  const servers = await openCarelessServers();
  const planted = await plant(join(lab.dir, 'secrets'), servers.urls);
  const { secret, env } = planted;
  const [postgres, mysql, s3] = await Promise.all([
    openPostgres(),
    openMysql(),
    startS3({ AWS_ACCESS_KEY_ID: secret.s3id, AWS_SECRET_ACCESS_KEY: secret.s3key }),
  ]);
  if (typeof postgres === 'string') throw new Error(postgres);
  const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;
  postgres.sql(
    'postgres',
    `SET standard_conforming_strings = on; CREATE ROLE careless SUPERUSER LOGIN PASSWORD ${literal(secret.postgres)}; CREATE DATABASE wiki`,
  );
  postgres.sql(
    'wiki',
    "CREATE TABLE notes (id serial PRIMARY KEY, text text); INSERT INTO notes (text) VALUES ('x'), ('y')",
  );
  const escaped = secret.mysql.replaceAll('\\', '\\\\').replaceAll("'", "''");
  await mysql.fill(
    'shop',
    `CREATE TABLE orders (id INT); INSERT INTO orders VALUES (1); CREATE USER careless@localhost IDENTIFIED BY '${escaped}'; GRANT ALL ON *.* TO careless@localhost;`,
  );
  mkdirSync(join(s3.dir, 'bucket'));
  const spec = mysql.spec('shop', ['shop']);
  await lab.configure((config) =>
    careless(config, planted, {
      ...{ lab: lab.dir, scratch: lab.scratch, postgres, s3, export: servers.urls.export },
      mysql: { socket: spec.socket ?? '' },
    }),
  );
  const search = new Search(planted.marks);
  const spy = openSpy();
  const watched = { ...env, PATH: `${spy.path}:${process.env.PATH}` };
  await lab.site.start();
  await lab.site.healthy();
  await Promise.all([lab.startWatchdog(watched), lab.startWorker(watched)]);
  const watch = watchLab(lab, search);
  return {
    ...{ lab, planted, servers, spy, search, watch },
    says: async (...args) => {
      const before = { ...process.env };
      let said = '';
      const write = (text: string): void => {
        said += text;
      };
      try {
        Object.assign(process.env, lab.env, watched);
        const program = buildProgram(createCli({ cwd: lab.dir, tty: false, write, writeError: write }));
        await program.exitOverride().parseAsync(['node', 'holdfast', ...args]);
      } finally {
        for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
        Object.assign(process.env, before);
        process.exitCode = undefined;
      }
      search.text(`output of holdfast ${args.join(' ')}`, said);
      return said;
    },
    end: async () => {
      await watch.end();
      await lab.end();
      servers.end();
      spy.end();
      await Promise.all([postgres.end(), mysql.close(), s3.end()]);
    },
  };
}
