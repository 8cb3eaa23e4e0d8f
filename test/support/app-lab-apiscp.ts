import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createApiscpRoot, whyNoApiscp } from './apiscp-root.js';
import { type AppSite, filesIn, NEVER_STOPPED } from './app-site.js';
import type { Lab } from './lab.js';

const EXPORTS = /(my|pg)sql_backups/;
const SKIP = /var\/lib\/(my|pg)sql|(my|pg)sql_backups\/|^site\d+\/fst|^FILESYSTEM|^[^/]*$|^site\d+\/[^/]+$/;
/** ApisCP's own export writes there, and touches the directory itself. */
const named = (line: string) => !EXPORTS.test(line.split('\t')[0] as string);

/** ApisCP: accounts that nobody stops, with devices, ACLs and trusted attributes. */
export async function apiscpApp(lab: Lab): Promise<AppSite | string> {
  const dir = join(lab.dir, 'app/panel');
  mkdirSync(dir, { recursive: true });
  const unable = await whyNoApiscp(dir);
  if (unable) return unable;
  const panel = await createApiscpRoot(dir, 3);
  const numbers = [1, 2, 3];
  await lab.configure(({ sites }) => {
    const { restoreTest } = sites.cms;
    sites.cms = {
      ...{ app: 'apiscp', root: panel.accounts, service: 'none', options: panel.options },
      ...{ repositories: ['nas', 'local'], limits: { reserve: '10MB' }, restoreTest: { ...restoreTest, boot: false } },
    };
    delete restoreTest.start;
  });
  const scope = readFileSync(panel.scope, 'utf8');
  const attributes = (account: string) =>
    execFileSync('sh', ['-euc', 'cd "$1"; getfattr -R -P -h -d -m - -e hex shadow info', 'sh', account], {
      encoding: 'utf8',
    })
      .split('\n\n')
      .filter((text) => text !== '' && !/var\/lib\/(my|pg)sql|_backups/.test(text))
      .map((text) => text.split('\n').filter(Boolean).sort().join(' '))
      .sort();
  const accounts = async (at: string) => (await filesIn(at, SKIP)).filter(named);
  return {
    root: panel.accounts,
    repositories: ['nas', 'local'],
    ...NEVER_STOPPED,
    part: { only: ['site2'], lines: 'site2/' },
    workerEnv: { PATH: `${panel.bin}:${process.env.PATH}` },
    look: async () => [
      ...(await accounts(panel.accounts)),
      ...numbers.flatMap((n) => attributes(panel.account(n)).map((line) => `site${n}/ attributes ${line}`)),
    ],
    // A bare engine has the modes that ACLs stand for, but no attributes: RESTORE.md gives those back from their list.
    bare: (line) => (/ attributes /.test(line) ? '' : line.replace(/\t(\w) \d+ /, '\t$1 ')),
    lookIn: async (tree, staging) => {
      for (const name of ['mysql-grants', 'mailer-table']) {
        const text = execFileSync('sh', ['-c', `cat "$1"/databases/${name}/*.out`, 'sh', staging], {
          encoding: 'utf8',
        });
        if (!/-- (Dump completed|the mailbox maps end here)/.test(text))
          throw new Error(`${name} of ${staging} is not whole`);
      }
      const at = join(tree, panel.accounts);
      const zips = execFileSync(
        'sh',
        [
          '-euc',
          `find "$1" -path '*_backups/*.zip' -exec unzip -tq {} + >/dev/null; find "$1" -path '*_backups/*.gz' -exec gzip -t {} +; find "$1" -path '*_backups/*' -type f | wc -l`,
          'sh',
          at,
        ],
        { encoding: 'utf8' },
      );
      if (Number(zips) < 4) throw new Error(`only ${zips} exports`);
      return accounts(at);
    },
    change: async (n) => {
      for (const each of numbers)
        for (const at of [
          panel.home(each),
          join(panel.account(each), 'shadow/var/www/html'),
          join(panel.account(each), 'info/cur'),
        ]) {
          for (const name of readdirSync(at).filter((old) => old.startsWith('generation-'))) rmSync(join(at, name));
          writeFileSync(join(at, `generation-${n}`), `${n}`);
          execFileSync('setfattr', ['-n', 'user.generation', '-v', `${n}`, join(at, `generation-${n}`)]);
        }
    },
    left: async () =>
      readFileSync(panel.scope, 'utf8') === scope ? [] : ['the scope of the nightly exports was changed'],
  };
}
