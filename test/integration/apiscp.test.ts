import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { findProgram } from '../../activities/tools/programs.js';
import { reportOf } from '../../src/client/follow.js';
import { type ApiscpRoot, createApiscpRoot, whyNoApiscp } from '../support/apiscp-root.js';
import { createLab, type Lab } from '../support/lab.js';
import { approve, runPlain, startPlain } from '../support/lab-runs.js';

/*
 * ApisCP on a real server: backed up while its accounts are written to, destroyed, and brought back, in whole and one account alone. What
 * its restore test finds is in test/activities/checks/apiscp.test.ts.
 */

const probe = await mkdtemp(join(tmpdir(), 'holdfast-probe-'));
const unable = await whyNoApiscp(probe);
const opened = unable ?? (await createLab());
const skip = typeof opened === 'string' ? opened : false;
const lab = opened as Lab;
const opts = { skip };
let panel: ApiscpRoot;

before(async () => {
  await rm(probe, { recursive: true });
  if (skip) return;
  panel = await createApiscpRoot(join(lab.dir, 'panel'), 3);
  // Whoever is late, one file has changed between its listing and its storing.
  const change = `echo more >>'${join(panel.home(1), 'Mail/new.log')}'`;
  const restic = `#!/bin/sh\ncase " $* " in *' backup '*) { ${change}; } 2>/dev/null ;; esac\nexec ${findProgram('restic')} "$@"\n`;
  await writeFile(join(panel.bin, 'restic'), restic, { mode: 0o755 });
  await lab.configure(({ sites }) => {
    const { restoreTest } = sites.cms;
    sites.panel = {
      ...{ app: 'apiscp', root: panel.accounts, service: 'none', options: panel.options },
      ...{ repositories: ['nas', 'local'], limits: { reserve: '10MB' }, restoreTest: { ...restoreTest, boot: false } },
    };
    delete restoreTest.start;
  });
  await lab.startWorker({ PATH: `${panel.bin}:${process.env.PATH}` });
});
after(async () => {
  if (!skip) await lab.end();
});

/** Everything of an account that a backup is to keep: kinds, modes, owners, contents, attributes, devices. */
function look(account: string): string[] {
  const script = `
find shadow info -path shadow/var/lib/mysql -prune -o -printf '%p %y %m %U %G %l\\n'
find shadow info -path shadow/var/lib/mysql -prune -o -type f -exec sha256sum {} +
find shadow info -type c -exec stat -c '%n %t:%T' {} +
getfattr -R -P -h -d -m - -e hex shadow info | paste -sd ' ' | sed 's/ # file/\\n# file/g'`;
  const text = execFileSync('sh', ['-euc', script], { cwd: account, encoding: 'utf8' });
  return text
    .split('\n')
    .filter((line) => !line.includes('var/lib/mysql') && !line.includes('Mail/new') && line !== '')
    .sort();
}

/** Mail that comes and goes in one account, all the time. */
function writer(home: string) {
  let running = true;
  let count = 0;
  const done = (async () => {
    execFileSync('mkdir', ['-p', join(home, 'Mail/new')]);
    while (running) {
      await writeFile(join(home, `Mail/new/${count}`), `message ${count}`.repeat(count % 50));
      if (count > 20) await rm(join(home, `Mail/new/${count - 20}`));
      await writeFile(join(home, 'Mail/new.log'), 'x'.repeat(count));
      count++;
      await sleep(5);
    }
  })();
  return {
    end: () => {
      running = false;
      return done;
    },
  };
}

const inode = (path: string): number => statSync(path).ino;

test('destroyed accounts come back in place, and one alone leaves the others as they are', opts, async () => {
  const mail = writer(panel.home(1));
  await sleep(300);
  const report = await runPlain(lab, 'backup', { site: 'panel' });
  await mail.end();
  await rm(join(panel.home(1), 'Mail/new.log'));
  assert.equal(report.outcome, 'completed', report.said);
  assert.equal(report.downtimeMs, undefined);
  assert.deepEqual(
    report.repositories.map(({ level }) => level),
    ['verified', 'verified'],
  );
  const notes = JSON.stringify([report.notes, report.steps.map((step) => step.notes)]);
  assert.match(notes, /of \d+ entries \d+ changed and \d+ were deleted while they were stored/);
  assert.match(notes, /databases of 3 accounts exported/);
  assert.match(notes, /nightly database exports are on/);
  const before = [1, 2, 3].map((n) => look(panel.account(n)));

  // One account alone: the others keep the very directories that they have.
  await rm(panel.account(2), { recursive: true });
  await writeFile(join(panel.home(3), 'later'), 'after the backup');
  const others = [1, 3].map((n) => inode(join(panel.account(n), 'shadow')));
  const one = await startPlain(lab, 'restore', { site: 'panel', only: ['site2'], repository: 'nas' });
  await approve(one, 'panel');
  const restored = await reportOf(one);
  assert.equal(restored.outcome, 'completed', restored.said);
  assert.deepEqual(look(panel.account(2)), before[1]);
  assert.deepEqual(
    [1, 3].map((n) => inode(join(panel.account(n), 'shadow'))),
    others,
  );
  assert.equal(readFileSync(join(panel.home(3), 'later'), 'utf8'), 'after the backup');
  assert.match(JSON.stringify(restored.steps.map((step) => step.notes)), /then run: systemctl reload fsmount/);

  // All of them.
  await rm(join(panel.account(1), 'shadow'), { recursive: true });
  await rename(panel.account(3), join(panel.accounts, 'site3.lost'));
  const whole = await startPlain(lab, 'restore', { site: 'panel', only: ['accounts'], repository: 'local' });
  await approve(whole, 'panel');
  const back = await reportOf(whole);
  assert.equal(back.outcome, 'completed', back.said);
  await rm(join(panel.home(1), 'Mail/new.log'), { force: true });
  assert.deepEqual(
    [1, 2, 3].map((n) => look(panel.account(n)).filter((line) => !/Mail( |\/new)/.test(line))),
    before.map((lines) => lines.filter((line) => !/Mail( |\/new)/.test(line))),
  );
  assert.equal(readdirSync(join(panel.account(1), 'fst')).length, 1, 'what is no part of the set stays');
});
