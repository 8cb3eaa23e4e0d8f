/** A server as a backup sees it, with programs in place of ApisCP's own. */
export interface SeededApiscp {
  dir: string;
  /** What /home/virtual is. */
  accounts: string;
  panel: string;
  /** Goes before PATH: cpcmd, apnscp_php, upcp, mysqldump, pg_dump. */
  bin: string;
  /** Options of the site in the config. */
  options: { panel: string; also: string[] };
  account: (n: number) => string;
  /** Home of an account's owner, below its shadow. */
  home: (n: number) => string;
  /** Files of the programs: calls, the value of the scope, the shell lines of an export and what those are as a rule. */
  log: string;
  scope: string;
  exporting: string;
  usual: string;
}

export function seed(options: { dir: string; accounts?: number }): Promise<SeededApiscp>;
