import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { apiscpChecks } from '../../../activities/checks/apiscp.js';
import { engines } from '../../../activities/engines/index.js';
import { preflightRepositories } from '../../../activities/preflight/repositories.js';
import { preflightSources } from '../../../activities/preflight/sources.js';
import { apps } from '../../../src/apps/index.js';
import { gatherFacts } from '../../../src/config/facts.js';
import type { Plan } from '../../../src/core/plan.js';
import type { Check } from '../../../src/core/report.js';
import { type ApiscpRoot, createApiscpRoot, whyNoApiscp } from '../../support/apiscp-root.js';
import { testContext } from '../../support/context.js';
import { createPipeline, type Damage, type Pipeline, planIn } from '../../support/pipeline.js';

const dir = await mkdtemp(join(tmpdir(), 'holdfast-apiscp-'));
const skip = (await whyNoApiscp(dir)) ?? false;
const opts = { skip };
let panel: ApiscpRoot;
let plan: Plan;
let pipe: Pipeline;

const planned = async (more: object = {}): Promise<Plan> => {
  const app = apps.apiscp!;
  const options = app.options.parse({ ...panel.options, ...more });
  const own = app.plan({ root: panel.accounts, options }, await gatherFacts(panel.accounts));
  return planIn(dir, { app: 'apiscp', root: panel.accounts, ...own, options });
};

before(async () => {
  if (skip) return;
  panel = await createApiscpRoot(dir);
  process.env.PATH = `${panel.bin}:${process.env.PATH}`;
  plan = await planned();
  pipe = await createPipeline(plan);
});

const failed = (checks: Check[]) => checks.filter(({ ok }) => !ok);

test('a plan names the accounts by a pattern, and leaves no entry unexplained', opts, async () => {
  await mkdir(join(panel.account(2), 'odd'));
  const app = apps.apiscp!;
  const own = app.plan({ root: panel.accounts, options: app.options.parse({}) }, await gatherFacts(panel.accounts));
  assert.deepEqual(own.uncovered, ['site*/odd/ (1 accounts)']);
  await rm(join(panel.account(2), 'odd'), { recursive: true });
  assert.ok(JSON.stringify(own).length < 4000, 'a plan does not grow with the accounts');
  assert.deepEqual(
    own.fileSets.map(({ name, root, include, optional }) => [name, root, include.join(' '), optional]),
    [
      ['accounts', panel.accounts, 'site+([0-9])/shadow site+([0-9])/info', false],
      ['var-log-mailer-table', '/var/log', 'mailer_table*', true],
      ['var-lib-mysql-mysql-grants', '/var/lib/mysql', 'mysql-grants*', true],
      ['var-lib-pgsql-backups', '/var/lib/pgsql', '*/backups', true],
    ],
  );
});

test('the data of a database server is refused', () => {
  const { options } = apps.apiscp!;
  for (const path of ['/var/lib/mysql', '/var/lib/mysql/*', '/var/lib/pgsql/15/data', '/mnt/var/lib/pgsql'])
    assert.match(String(options.safeParse({ also: [path] }).error), /a copy of files would break/, path);
  assert.equal(options.safeParse({ also: ['/etc', '/var/lib/mysql/mysql-grants'] }).success, true);
});

test('an account without shadow or info is named before anything runs', opts, async () => {
  const ctx = await testContext();
  for (const part of ['shadow', 'info']) {
    await rename(join(panel.account(3), part), join(dir, 'away'));
    await assert.rejects(apiscpChecks.preflight!(plan, ctx), new RegExp(`site3/${part} is not there`));
    await rename(join(dir, 'away'), join(panel.account(3), part));
  }
  await apiscpChecks.preflight!(plan, ctx);
  assert.match(ctx.notes.join(), /nightly database exports are on.*holdfast setup live/);
  await preflightSources(plan, { ctx });
});

test('an engine that loses attributes is refused', opts, async () => {
  const ctx = await testContext();
  const { abilities } = engines.archive;
  engines.archive.abilities = { ...abilities, xattrs: false };
  const refused = preflightRepositories(plan, false, { ctx, deps: { state: ctx.state } } as never);
  await assert.rejects(refused, /local \(archive\) keeps no extended attributes, which accounts needs/);
  engines.archive.abilities = abilities;
});

test('the export fails the run where it fails, leaves nothing, or leaves less than whole dumps', opts, async () => {
  const { mysql } = { mysql: join(panel.home(3), 'mysql_backups/wp_3-20261121.sql') };
  const cases: [script: string, told: RegExp][] = [
    ['exit 3', /export of the accounts' databases failed/],
    ['true', /left no dump of any account/],
    [`printf '' > ${mysql}`, /wp_3-20261121.sql: empty/],
    [`echo 'CREATE TABLE x (y int);' > ${mysql}`, /wp_3-20261121.sql: does not end as a whole dump/],
    [`echo 'no zip' > ${panel.home(1)}/mysql_backups/a-20261121.zip`, /a-20261121.zip: cannot be unpacked/],
    [
      `gzip -c ${panel.dir}/stubs/site2.sql | head -c 60 > ${panel.home(2)}/mysql_backups/b-20261121.sql.gz`,
      /b-20261121.sql.gz: cannot be/,
    ],
  ];
  for (const [script, told] of cases) {
    await panel.exportDoes(script);
    await assert.rejects(pipe.capture(), told);
    for (const n of [1, 2, 3])
      for (const name of await readdir(join(panel.home(n), 'mysql_backups')))
        if (name.includes('20261121')) await rm(join(panel.home(n), 'mysql_backups', name));
  }
  await panel.exportDoes('');
  const ctx = await testContext();
  await apiscpChecks.beforeCapture!(plan, ctx);
  assert.match(ctx.notes.join('\n'), /4 databases of 3 accounts exported/);
  assert.match(ctx.notes.join('\n'), /2 databases have older dumps only.*site2: mysql old_db/);
  assert.match((await panel.calls()).join('\n'), /backup_dbs\.php --force/);
});

test(
  'stored, restored and proven with every attribute, ACL and device; damage of each kind is found and named',
  opts,
  async () => {
    // Tabs part the columns of our lists, and getfattr escapes everything but them.
    for (const name of ['tab', 'tab\there', 'new\nline', 'back\\slash']) {
      const path = join(panel.home(1), name);
      await writeFile(path, name);
      setfattr('-n', 'user.odd', '-v', 'name', path);
    }
    const captureId = await pipe.capture();
    const stored = await pipe.store(captureId, 'local');
    await pipe.verify('local', stored);
    const checks = await pipe.prove('local');
    assert.deepEqual(failed(checks), []);
    const evidence = checks.map(({ name, evidence: said }) => `${name}: ${said}`).join('\n');
    assert.match(evidence, /attributes: 13 entries have/);
    assert.match(evidence, /devices: 3 devices, whiteouts/);
    assert.match(evidence, /accounts' databases: 4 dumps/);
    assert.match(evidence, /accounts' databases load: 4 dumps/);
    assert.match(evidence, /mysql grants: loads into a server/);
    assert.match(evidence, /mailbox maps: .* their 3 sites/);

    const spoil: [what: (tree: string) => Promise<unknown>, told: RegExp][] = [
      [
        async (at) => setfattr('-x', 'user.holdfast', `${at}/site1/shadow/var/www/html/index.php`),
        /html\/index.php: lacks user.holdfast/,
      ],
      [
        async (at) => setfattr('-x', 'trusted.overlay.opaque', `${at}/site2/shadow/opaque`),
        /opaque: lacks trusted.overlay.opaque/,
      ],
      [
        async (at) => execFileSync('setfacl', ['-m', 'u:1001:r', `${at}/site1/shadow/var/www/html/wp-content/uploads`]),
        /uploads: has another system.posix_acl_access/,
      ],
      [
        async (at) => {
          await rm(`${at}/site3/shadow/deleted`);
          execFileSync('mknod', [`${at}/site3/shadow/deleted`, 'c', '5', '1']);
        },
        /deleted: c 5:1, it was c 0:0/,
      ],
      [
        async (at) => execFileSync('chown', ['0:0', `${at}/site2/shadow/home/admin2/.bashrc`]),
        /.bashrc: 0:0 640, it was 1002:1002 640/,
      ],
      [(at) => rm(`${at}/site2/info`, { recursive: true }), /site2: lacks info/],
      [(at) => rm(`${at}/site3/info/cur/siteinfo`), /site3: info\/cur is missing or empty/],
      [(at) => rm(`${at}/site1/shadow/home/admin1/Mail/cur/message.3:2,S`), /message.3:2,S: missing/],
      [
        (at) => truncate(`${at}/site3/shadow/home/admin3/mysql_backups/wp_3-20261121.sql`, 60),
        /wp_3-20261121.sql: 60 bytes/,
      ],
    ];
    // What does not show in a dump's last line: whether it loads.
    const contents = async (tree: string) => {
      const dump = `${tree}/site2/shadow/home/admin2/mysql_backups/wp_2-20261121.sql`;
      execFileSync('sh', ['-c', `gunzip ${dump}.gz && sed -i 's/PRIMARY KEY/PRIMARY  EKY/' ${dump}`]);
      const shop = `${tree}/site1/shadow/home/admin1/pgsql_backups/shop-20261121.sql`;
      await rm(`${shop}.gz`);
      await writeFile(shop, `\\! touch ${dir}/pwned\n-- PostgreSQL database dump complete\n`);
      const maps = `${tree}/.holdfast/databases/mailer-table/mailer-table.out`;
      await writeFile(maps, readFileSync(maps, 'utf8').replace('3\texample3.com', '9\texample9.com'));
      const grants = `${tree}/.holdfast/databases/mysql-grants/mysql-grants.out`;
      await writeFile(grants, readFileSync(grants, 'utf8').replaceAll('INSERT INTO', '-- INSERT INTO'));
    };
    const found = await pipe.prove('local', async (tree) => {
      for (const [damage] of spoil) await damage(tree);
      await contents(tree);
    });
    const told = JSON.stringify(failed(found));
    for (const [, words] of spoil) assert.match(told, words);
    assert.match(told, /wp_2-20261121.sql: .*(does not|ended with)/);
    assert.match(told, /shop-20261121.sql: .*ended with/);
    assert.match(told, /site9: in the maps, and not among the accounts/);
    assert.match(told, /site3: an account that the maps do not know/);
    assert.match(told, /no account of the database server is in it/);
    assert.equal(existsSync(join(dir, 'pwned')), false, 'a dump of an account runs no command');

    // What hides those above, or is hidden by them.
    const own = (tree: string, name: string) => `${tree}/.holdfast/databases/${name}/${name}.out`;
    const backups = (tree: string, n: number) => `${tree}/site${n}/shadow/home/admin${n}/mysql_backups`;
    const others: Damage[] = [
      ['an account without its data', (t) => rm(`${t}/site2/shadow`, { recursive: true }), /site2: lacks shadow/],
      ['cut mailbox maps', (t) => truncate(own(t, 'mailer-table'), 300), /mailer-table/],
      ['empty grants', (t) => truncate(own(t, 'mysql-grants'), 0), /mysql-grants/],
      [
        'a dump that cannot be unpacked',
        (t) => writeFile(`${backups(t, 1)}/wp_1-20261121.zip`, 'no zip'),
        /wp_1-20261121\.zip: cannot be unpacked/,
      ],
      ['an empty dump', (t) => truncate(`${backups(t, 3)}/wp_3-20261121.sql`, 0), /wp_3-20261121\.sql: empty/],
    ];
    const further = await pipe.prove('local', async (tree) => {
      for (const [, act] of others) await act(tree);
    });
    for (const [what, , words] of others) assert.match(JSON.stringify(failed(further)), words, what);
    const cut = async (t: string) =>
      truncate(execFileSync('find', [t, '-name', 'mailer-table.out']).toString().trim(), 300);
    await assert.rejects(
      pipe.proveBrought('local', cut),
      /database mailer-table of snapshot \w+ is not what was captured/,
    );
  },
);

const setfattr = (...args: string[]) => execFileSync('setfattr', args);

test('one account alone comes back into a directory', opts, async () => {
  const fetched = await pipe.restore('local', 'one', ['site2']);
  const at = join(dir, 'restored/one');
  assert.deepEqual((await readdir(at)).sort(), ['.holdfast', 'site2']);
  assert.deepEqual((await readdir(join(at, 'site2'))).sort(), ['info', 'shadow']);
  assert.doesNotMatch(fetched.notes.join('\n'), /then run/, 'nothing of it is where ApisCP looks');
  const look = (root: string) =>
    execFileSync(
      'sh',
      ['-c', 'getfattr -R -P -h -d -m - -e hex shadow info; find shadow info -printf "%p %y %m %U %G %s %l\n" | sort'],
      {
        cwd: join(root, 'site2'),
        encoding: 'utf8',
      },
    );
  const without = (text: string) =>
    text
      .split('\n')
      .filter((line) => !line.includes('var/lib/mysql'))
      .sort();
  assert.deepEqual(without(look(at)), without(look(panel.accounts)));
  // As its owner gets it, by the line of docs/apiscp.md.
  const unpacked = join(dir, 'unpacked');
  const keep = "--xattrs --xattrs-include='*' --acls --numeric-owner";
  execFileSync('sh', [
    '-euc',
    `tar ${keep} -C ${at} -czf ${dir}/site2.tar.gz site2; mkdir ${unpacked}; tar ${keep} -C ${unpacked} -xzpf ${dir}/site2.tar.gz`,
  ]);
  assert.deepEqual(without(look(unpacked)), without(look(at)));
  await assert.rejects(pipe.restore('local', 'none', ['site77']), /the snapshot has no part site77/);
});

test('the nightly exports are switched off once, read back, and put back', opts, async () => {
  const ctx = await testContext();
  const record = join(dir, 'setup.json');
  const setUp = (undo: boolean) => apiscpChecks.setUp!(plan, { undo, record }, ctx);
  assert.match(await setUp(false), /was true and is false now/);
  assert.match(await setUp(false), /is false: the nightly exports are off/);
  assert.match(await setUp(true), /is true again/);
  assert.equal(existsSync(record), false);
  await panel.setScope('unknown');
  assert.match(await setUp(false), /cp.bootstrapper manual_database_backups was false and is true now/);
  assert.ok((await panel.calls()).includes('upcp -sb apnscp/crons'));
  assert.match(await setUp(true), /is false again/);
  await panel.setScope('true');
});
