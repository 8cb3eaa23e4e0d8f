import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { type SeededApiscp, seed } from '../../examples/apiscp/seed.mjs';

const run = promisify(execFile);

/** The sample server, with its programs as a test wants them. ApisCP itself cannot be installed here. */
export interface ApiscpRoot extends SeededApiscp {
  calls: () => Promise<string[]>;
  /** What the next export of databases does: shell lines instead of writing whole dumps. */
  exportDoes: (script: string) => Promise<void>;
  setScope: (value: 'true' | 'false' | 'unknown') => Promise<void>;
}

export async function createApiscpRoot(dir: string, accounts = 3): Promise<ApiscpRoot> {
  const seeded = await seed({ dir, accounts });
  return {
    ...seeded,
    calls: async () => (await readFile(seeded.log, 'utf8')).split('\n').filter(Boolean),
    exportDoes: (script) => writeFile(seeded.exporting, script || seeded.usual),
    setScope: (value) => writeFile(seeded.scope, value),
  };
}

/** Why this machine cannot hold such a root; undefined where it can. */
export async function whyNoApiscp(dir: string): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'accounts have devices and trusted attributes: needs root';
  const script = `for p in setfacl setfattr getfattr zip unzip; do command -v $p >/dev/null || { echo $p; exit 1; }; done
cd "$1" && : > probe && setfattr -n trusted.probe -v 1 probe && setfacl -m u:1:r probe && mknod node c 0 0 && rm probe node`;
  return run('sh', ['-uc', script, 'sh', dir]).then(
    () => undefined,
    (error: { stdout?: string; stderr?: string }) =>
      `no ${error.stdout?.trim() || 'extended attributes or devices'} here: ${error.stderr ?? ''}`,
  );
}
