#!/usr/bin/env node
import { execFile } from 'node:child_process';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { gzipSync } from 'node:zlib';

const run = promisify(execFile);

/*
 * A server as ApisCP lays it out, for as much of it as a backup sees: accounts with shadow, info and the merged view, links per domain, ACLs,
 * user.* and trusted.* attributes, an OverlayFS whiteout, and programs that do what ApisCP's own do and log their calls. Needs root.
 */

const ALSO = ['var/log/mailer_table*', 'var/lib/mysql/mysql-grants*', 'var/lib/pgsql/*/backups'];

const SQL = (name) =>
  `CREATE TABLE \`posts\` (\`id\` int NOT NULL, \`title\` varchar(40), PRIMARY KEY (\`id\`));
INSERT INTO \`posts\` VALUES (1,'of ${name}'),(2,'and more');
-- Dump completed on 2026-11-21  3:00:00
`;
const PG = (name) => `CREATE TABLE public.posts (id integer NOT NULL, title text);
ALTER TABLE public.posts OWNER TO ${name};
COPY public.posts (id, title) FROM stdin;
1\tof ${name}
\\.


--
-- PostgreSQL database dump complete
--

`;
/** What `mysqldump --extended-insert=false --complete-insert=true mysql` prints of its accounts (MariaDB 10.11), and no more. */
const GRANTS = `CREATE TABLE \`global_priv\` (
  \`Host\` char(255) NOT NULL DEFAULT '',
  \`User\` char(128) NOT NULL DEFAULT '',
  \`Priv\` longtext NOT NULL DEFAULT '{}',
  PRIMARY KEY (\`Host\`,\`User\`)
);
INSERT INTO \`global_priv\` (\`Host\`, \`User\`, \`Priv\`) VALUES ('localhost','admin1','{"access":0,"plugin":"mysql_native_password"}');
INSERT INTO \`global_priv\` (\`Host\`, \`User\`, \`Priv\`) VALUES ('localhost','admin2','{"access":0,"plugin":"mysql_native_password"}');
-- Dump completed
`;
const maps = (sites) => `CREATE TABLE public.siteinfo (site_id integer NOT NULL, domain text);
ALTER TABLE public.siteinfo OWNER TO root;
COPY public.siteinfo (site_id, domain) FROM stdin;
${sites.map((n) => `${n}\texample${n}.com`).join('\n')}
\\.


--
-- PostgreSQL database dump complete
--

`;

/** Makes the server below `dir`; see seed.d.mts. */
export async function seed({ dir, accounts: count = 3 }) {
  const [accounts, panel, bin] = [join(dir, 'home/virtual'), join(dir, 'apnscp'), join(dir, 'bin')];
  const numbers = Array.from({ length: count }, (_, i) => i + 1);
  const account = (n) => join(accounts, `site${n}`);
  const home = (n) => join(account(n), `shadow/home/admin${n}`);
  await Promise.all([mkdir(join(panel, 'bin/scripts'), { recursive: true }), mkdir(bin, { recursive: true })]);
  for (const n of numbers) await createAccount(account(n), home(n), n);
  await mkdir(join(accounts, 'FILESYSTEMTEMPLATE/siteinfo'), { recursive: true });
  await writeFile(join(accounts, 'FILESYSTEMTEMPLATE/siteinfo/passwd'), 'of the template');
  for (const n of numbers) await symlink(`site${n}`, join(accounts, `example${n}.com`));
  await symlink('site1', join(accounts, 'sitebuilder.com'));
  await symlink('site1', join(accounts, 'site1.com'));
  await mkdir(join(dir, 'var/log'), { recursive: true });
  await writeFile(join(dir, 'var/log/mailer_table'), '');
  await writeFile(join(dir, 'var/log/mailer_table-20261120.gz'), gzipSync('of yesterday'));
  await mkdir(join(dir, 'var/lib/mysql/secret'), { recursive: true });
  await writeFile(join(dir, 'var/lib/mysql/ibdata1'), 'live');
  await writeFile(join(dir, 'var/lib/mysql/mysql-grants'), '');
  await mkdir(join(dir, 'var/lib/pgsql/15/backups'), { recursive: true });
  await mkdir(join(dir, 'var/lib/pgsql/15/data/base'), { recursive: true });
  await writeFile(join(dir, 'var/lib/pgsql/15/data/PG_VERSION'), '15');
  await writeFile(join(dir, 'var/lib/pgsql/15/backups/globals.sql'), 'CREATE ROLE admin1;');

  const data = join(dir, 'stubs');
  await mkdir(data);
  for (const n of numbers) {
    await writeFile(join(data, `site${n}.sql`), SQL(`site${n}`));
    await writeFile(join(data, `site${n}.pgsql`), PG(`admin${n}`));
  }
  await writeFile(join(data, 'grants.sql'), GRANTS);
  await writeFile(join(data, 'maps.sql'), maps(numbers));
  await writeFile(join(data, 'scope'), 'true');
  const log = join(data, 'calls');
  await writeFile(log, '');
  const exporting = join(data, 'export');
  const usual = `for site in ${numbers.map((n) => `site${n}`).join(' ')}; do
  n=\${site#site}; home=${accounts}/$site/shadow/home/admin$n
  mkdir -p $home/mysql_backups $home/pgsql_backups
  case $n in
    1) rm -f $home/mysql_backups/*; (cd ${data} && zip -q $home/mysql_backups/wp_$n-20261121.zip $site.sql) ;;
    2) gzip -c ${data}/$site.sql > $home/mysql_backups/wp_$n-20261121.sql.gz ;;
    *) cp ${data}/$site.sql $home/mysql_backups/wp_$n-20261121.sql ;;
  esac
done
gzip -c ${data}/site1.pgsql > ${home(1)}/pgsql_backups/shop-20261121.sql.gz
`;
  const stub = async (name, lines) => {
    await writeFile(join(bin, name), `#!/bin/sh\nset -e\necho "${name} $*" >> ${log}\n${lines}`);
    await chmod(join(bin, name), 0o755);
  };
  const scope = join(data, 'scope');
  await stub(
    'cpcmd',
    `case "$1 $2 $3" in
  "scope:get backups.automatic-database-exports "*) grep -qx unknown ${scope} && exit 1; cat ${scope} ;;
  "scope:set backups.automatic-database-exports "*) printf %s "$3" > ${scope} ;;
  "scope:get cp.bootstrapper manual_database_backups") cat ${scope}.manual ;;
  "scope:set cp.bootstrapper manual_database_backups") printf %s "$4" > ${scope}.manual ;;
  *) exit 1 ;;
esac
`,
  );
  await writeFile(`${scope}.manual`, 'false');
  await stub('upcp', '');
  await stub('apnscp_php', `[ "$1" = ${panel}/bin/scripts/backup_dbs.php ]\n. ${exporting}\n`);
  await stub('mysqldump', `cat ${data}/grants.sql\n`);
  await stub('pg_dump', `cat ${data}/maps.sql\n`);
  await writeFile(join(panel, 'bin/scripts/backup_dbs.php'), '<?php');
  await writeFile(exporting, usual);
  return {
    ...{ dir, accounts, panel, bin, account, home, log, scope, exporting, usual },
    options: { panel, also: ALSO.map((at) => join(dir, at)) },
  };
}

async function createAccount(account, home, n) {
  const shadow = join(account, 'shadow');
  const web = join(shadow, 'var/www/html');
  await mkdir(join(web, 'wp-content/uploads'), { recursive: true });
  await mkdir(join(home, 'Mail/cur'), { recursive: true });
  await mkdir(join(home, 'mysql_backups'), { recursive: true });
  await mkdir(join(account, 'info/cur'), { recursive: true });
  await mkdir(join(account, 'fst/var/www/html'), { recursive: true });
  await mkdir(join(shadow, 'var/lib/mysql/wp'), { recursive: true });
  await mkdir(join(shadow, 'opaque'));
  await writeFile(join(web, 'index.php'), `<?php // of site${n}`);
  await writeFile(join(account, 'fst/var/www/html/index.php'), 'the merged view');
  await writeFile(join(shadow, 'var/lib/mysql/wp/posts.ibd'), 'live');
  await writeFile(join(account, 'info/cur/siteinfo'), `[DEFAULT]\ndomain = example${n}.com`);
  await writeFile(join(home, 'mysql_backups/old_db-20261101.sql'), '-- Dump completed\n');
  for (let i = 0; i < 5; i++) await writeFile(join(home, `Mail/cur/message.${i}:2,S`), `message ${i}`);
  await writeFile(join(home, '.bashrc'), 'umask 022', { mode: 0o640 });
  await symlink('/var/www/html', join(shadow, 'www'));
  // One program for all that Node has no call for. Fortification is ACLs; the rest is what OverlayFS leaves in an upper layer.
  const script = `
setfacl -m u:1001:rwx ${web}/wp-content/uploads
setfacl -d -m u:1001:rwx ${web}/wp-content/uploads
setfacl -m u:1001:r ${web}/index.php
setfattr -n user.holdfast -v test ${web}/index.php
setfattr -n trusted.overlay.origin -v 0sAPshAA== ${web}/index.php
setfattr -n trusted.overlay.opaque -v y ${shadow}/opaque
mknod ${shadow}/deleted c 0 0
chown -R ${1000 + n}:${1000 + n} ${home}
touch -d 2026-11-01 ${home}/mysql_backups/old_db-20261101.sql`;
  await run('sh', ['-euc', script]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { dir: { type: 'string', default: 'server' }, accounts: { type: 'string', default: '3' } },
  });
  const { accounts, bin } = await seed({ dir: resolve(values.dir), accounts: Number(values.accounts) });
  console.log(`${values.accounts} accounts below ${accounts}; programs in ${bin}`);
}
