import type { Command } from 'commander';
import type { Cli } from './context.js';
import { given, list, startCommand } from './start-command.js';

export function register(program: Command, cli: Cli): void {
  startCommand(
    program,
    cli,
    'restore',
    'restore a site in place (after an approval), or with --target beside it',
    (command) =>
      command
        .option('-s, --snapshot <id>', 'a snapshot as `holdfast snapshots` shows it (default: latest)')
        .option('--database-snapshot <id>', 'with the databases of this other snapshot: an older dump on newer data')
        .option('-r, --repository <name>', 'from this one')
        .option('--to <site@host>', 'on another host, as its own site: the server moves, or is replaced')
        .option('-t, --target <name>', 'into a new directory of this name below restore.root')
        .option('--only <part>', 'only this database, file set, or account of a panel (several: repeat it)', list)
        .option('--approve <snapshot>', 'approve it now, where the config allows that: repeat the snapshot')
        .option('--reason <text>', 'why, for the history'),
    async (client, site, call) => {
      const { startRestore } = await import('../client/start.js');
      const { approve } = call.options;
      return startRestore(client, {
        site,
        ...given(call, {
          snapshot: 'snapshot',
          databaseSnapshot: 'databaseSnapshot',
          repository: 'repository',
          target: 'target',
          to: 'to',
          only: 'only',
          reason: 'reason',
        }),
        ...(typeof approve === 'string'
          ? { approve: { site: typeof call.options.to === 'string' ? call.options.to : site, snapshot: approve } }
          : {}),
      });
    },
  );
}
