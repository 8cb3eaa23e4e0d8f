import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const PROGRAM = `#!/bin/sh
cd "$(dirname "$0")"
case $1 in
  start) touch running ;;
  stop) rm -f running ;;
  status) [ -e running ] || exit 3 ;;
  export) cat ledger.txt ;;
  import) cat >ledger.new && mv ledger.new ledger.txt ;;
esac
`;

const does = (word: string) => ['./app.sh', word];

/** What a config says of it, beside its databases in servers. */
export const WIKI = {
  service: { command: { stop: does('stop'), start: does('start'), status: does('status') } },
  ledger: { kind: 'command', name: 'ledger', dump: does('export'), load: does('import'), ends: '# end' },
  parts: { files: [{ name: 'files', path: 'files' }], exclude: ['app.sh', 'ledger.txt', 'running'] },
};

/** Lays an application of commands that runs: a mark says so, and a ledger lies behind its program. */
export function layWiki(root: string, ledger: string): void {
  mkdirSync(join(root, 'files'), { recursive: true, mode: 0o755 });
  writeFileSync(join(root, 'app.sh'), PROGRAM);
  chmodSync(join(root, 'app.sh'), 0o755);
  writeFileSync(join(root, 'ledger.txt'), ledger);
  writeFileSync(join(root, 'running'), '');
}
