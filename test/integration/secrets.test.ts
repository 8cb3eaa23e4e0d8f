import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { reportOf } from '../../src/client/follow.js';
import { approve, startPlain } from '../support/lab-runs.js';
import { openSecretLab, type SecretLab } from '../support/secret-lab.js';
import type { Place } from '../support/secret-places.js';
import { searchServer } from '../support/secret-watch.js';
import { eventually } from '../support/toy.js';

/*
 * Every place where a user may put a secret has a marked one, the user's programs and servers repeat what they are told, tools fail with their
 * environment on their lips, and all that runs leave is searched: each mark is where the design has it, and nowhere else.
 */

const opened = await openSecretLab();
const skip = typeof opened === 'string' ? opened : false;
const { lab, planted, servers, spy, search, watch, says } = opened as SecretLab;

after(async () => {
  if (typeof opened !== 'string') await opened.end();
});

interface Input {
  site: string;
  [key: string]: unknown;
}

async function ends(outcome: string, workflow: string, input: Input, said = /./): Promise<void> {
  const handle = await startPlain(lab, workflow, input);
  if (workflow === 'restore' && !input.target) await approve(handle, input.site);
  const report = await reportOf(handle);
  assert.equal(report.outcome, outcome, `${workflow} ${input.site}: ${report.said} ${JSON.stringify(report.failures)}`);
  assert.match(`${report.said} ${JSON.stringify(report.failures)}`, said);
}

/** The site's next program of this kind fails, having said what it knows. */
const next = (what: string) => writeFileSync(join(lab.dir, 'wiki', `fail-${what}`), '');

/** Another secret stands in the file, for as long as `body` takes. */
async function instead(place: Place, text: string, body: () => Promise<void>): Promise<void> {
  const file = join(planted.dir, place);
  const before = readFileSync(file, 'utf8');
  writeFileSync(file, text);
  await body();
  writeFileSync(file, before);
}

async function wiki(): Promise<void> {
  const leaking = { pg_dump: '-d', restic: 'backup', rclone: '--files-from-raw' };
  for (const [tool, argument] of Object.entries(leaking)) spy.leak(tool, argument);
  await ends('completed', 'backup', { site: 'wiki' });
  await ends('completed', 'restoreTest', { site: 'wiki', repository: 'vault' });
  await ends('completed', 'verify', { site: 'wiki' });
  next('import');
  await ends('completed', 'restore', { site: 'wiki' });
  await ends('completed', 'restore', { site: 'wiki', target: 'beside', repository: 'bucket' });
  await ends('failed', 'guardedChange', { site: 'wiki', operation: 'update' });
  next('hookbefore');
  next('hookonFailure');
  await ends('failed', 'backup', { site: 'wiki' }, /hook before/);
  await ends('completed', 'prune', { site: 'wiki' });
}

async function shop(): Promise<void> {
  spy.leak('mariadb-dump', '--single-transaction');
  await ends('completed', 'backup', { site: 'shop' });
  await instead('attic', `${planted.secret.wrong}\n`, () =>
    ends('failed', 'backup', { site: 'shop' }, /wrong password/),
  );
  await instead('mysql', `${planted.secret.wrong}\n`, () =>
    ends('failed', 'backup', { site: 'shop' }, /refuses this user or password/),
  );
  writeFileSync(join(planted.dir, 'mysql.fails'), '');
  await ends('failed', 'backup', { site: 'shop' }, /print gives no secret/);
}

async function notes(): Promise<void> {
  await ends('completed', 'backup', { site: 'notes' });
  await ends('completed', 'restoreTest', { site: 'notes' });
  servers.answer(401);
  await ends('failed', 'backup', { site: 'notes' }, /answered 401/);
  servers.answer(500);
  const handle = await startPlain(lab, 'backup', { site: 'notes' });
  await eventually('its export has failed', 60_000, async () => {
    const { raw } = await handle.describe();
    return raw.pendingActivities?.some(({ lastFailure }) => /answered 500/.test(lastFailure?.message ?? ''));
  });
  await handle.cancel();
  // Its last attempt may come first.
  assert.match((await reportOf(handle)).outcome, /^(cancelled|failed)$/);
}

async function cms(): Promise<void> {
  await ends('completed', 'backup', { site: 'cms' });
  await ends('completed', 'restoreTest', { site: 'cms' });
}

/** Secrets written where references belong: refused, and not repeated. */
async function plain(): Promise<void> {
  const { plain } = planted.secret;
  const back = await lab.configure(({ repositories, notify, sites }) => {
    repositories.nas.password = plain;
    repositories.vault.identity = { text: plain };
    repositories.bucket.location = `rclone::s3,access_key_id=me,secret_access_key=${plain}:bucket`;
    repositories.sealed.location = `s3:https://me:${plain}@127.0.0.1/bucket`;
    Object.assign(notify, { ops: { webhook: `https://me:${plain}@127.0.0.1/` }, pulse: { ping: plain } });
    sites.notes.options.databases[0].url += `?token=${plain}`;
    sites.notes.options.databases[0].token = { text: plain };
    sites.wiki.options.databases[0].password = [plain];
    sites.wiki.hooks.before = { argv: ['./tool.sh', `--password=${plain}`], env: { DB_PASS: plain } };
  });
  search.files(lab.dir, (path) => path !== 'holdfast.yaml');
  await ends('failed', 'backup', { site: 'shop' }, /mistakes/);
  const refused = await says('config', 'validate');
  for (const key of ['nas.password', 'vault.identity', 'bucket.location', 'sealed.location', 'ops', 'pulse'])
    assert.ok(refused.includes(key), `${key} in ${refused}`);
  for (const key of ['[0].url', '[0].token', '[0].password', 'before.argv[1]', 'DB_PASS'])
    assert.ok(refused.includes(key), `${key} in ${refused}`);
  await back();
  for (const text of [`|${plain}`, `*${plain}`, `!${plain} x`, `"${plain}" x`, `{ file: ${plain}`, `\t${plain}`]) {
    writeFileSync(join(lab.dir, 'broken.yaml'), `version: 1\nrepositories:\n  nas:\n    password: ${text}\n`);
    await says('config', 'validate', '--config', 'broken.yaml');
  }
  writeFileSync(join(lab.dir, 'broken.yaml'), '');
}

test('runs of every kind, good ones and failing ones, with all that they may give away', { skip }, async () => {
  await Promise.all([wiki(), shop(), notes(), cms()]);
  assert.equal(spy.leaked(), 4);
  await plain();
  for (const command of ['explain wiki', 'config show', 'kit', 'check', 'status --json', 'schedule list'])
    await says(...command.split(' '));
  for (const command of ['snapshots', 'history', 'logs', 'status']) {
    assert.match(await says(command, 'wiki'), /\S/);
    await says(command, 'shop', '--json');
  }
});

/** esbuild is what runs TypeScript here. */
const OWN = 'environment of (the worker|the watchdog|esbuild.*)';
const TOOL = 'environment of tool.sh';
/** Where the design has each secret, besides its own file. The first is where it must have been seen: else the search is blind. */
const RULES: Record<keyof typeof planted.secret | 'apikey' | 'tlskey', string[]> = {
  restic: ['environment of restic'],
  attic: ['environment of restic'],
  wrong: ['environment of restic', 'credential 0600 of (mariadb|mysql)'],
  s3id: ['environment of rclone', OWN],
  s3key: ['environment of rclone'],
  age: [],
  rsa: [],
  postgres: ['credential 0600 of (pg_dump|pg_dumpall|pg_restore|psql)'],
  mysql: ['credential 0600 of (mariadb|mariadb-dump)'],
  token: ['sent to export'],
  webhook: ['sent to webhook'],
  ping: ['sent to ping'],
  signing: [OWN],
  ...{ service: [TOOL, OWN], health: [TOOL], condition: [TOOL], before: [TOOL, OWN], after: [TOOL], failure: [TOOL] },
  ...{ dump: [TOOL], load: [TOOL, OWN], operation: [TOOL], opcheck: [TOOL] },
  process: ['environment of the application', OWN, 'environment of setsid.*'],
  boot: ['environment of unshare', 'environment of the application'],
  // The application's own: data.
  dotenv: [
    'file (wiki|shop|notes)/files/.env',
    'file state/.*/files/.*',
    'file (restored|scratch)/.*',
    'file \\.?(wiki|shop|notes).*',
  ],
  // Its owner's mistake.
  plain: ['file holdfast.yaml'],
  ...{ apikey: [OWN], tlskey: [OWN] },
};

test('each secret is where the design has it, and nowhere else', { skip }, async () => {
  const runs = await searchServer(lab, search);
  for (const { to, head, body } of servers.received) {
    search.text(`sent to ${to}`, head);
    search.text(`told ${to}`, body);
  }
  await watch.end(spy.runs());
  search.files(lab.dir, (path) => path.startsWith('secrets'));
  for (const left of readdirSync(tmpdir()).filter((name) => /^hf-[0-9a-f]{12}$/.test(name)))
    search.files(join(tmpdir(), left));
  const leaks = [...search.found].flatMap(([mark, places]) =>
    [...places]
      .filter(([place]) => !RULES[mark as Place].some((rule) => new RegExp(`^${rule}$`).test(place)))
      .map(([place, excerpt]) => `${mark}: ${place}: …${excerpt}…`),
  );
  assert.equal(leaks.join('\n'), '');
  const unseen = Object.entries(RULES).filter(
    ([mark, [rule]]) => rule && !search.places(mark).some((place) => new RegExp(`^${rule}$`).test(place)),
  );
  assert.deepEqual(
    unseen.map(([mark]) => mark),
    [],
  );
  assert.ok(runs.length >= 18, `${runs.length} runs`);
});
