import type { Command } from 'commander';
import type { Snapshot } from '../core/manifest.js';
import { shortId } from '../core/names.js';
import type { RepositorySpec } from '../core/plan.js';
import { type Call, type Cli, CliError } from './context.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { onHost, planOnHost } from './on-host.js';

export function register(program: Command, cli: Cli): void {
  cli
    .command(program, 'ls', 'the files of a snapshot (on the site’s host)')
    .argument('<site>')
    .argument('[snapshot]', 'as `holdfast snapshots` shows it (default: the newest)')
    .option('-r, --repository <name>', 'in this one')
    .option(
      '--state-dir <dir>',
      'the state directory of its worker (default: HOLDFAST_STATE_DIR, else the usual place)',
    )
    .action(cli.action(ls));
}

async function ls(call: Call): Promise<ExitCode> {
  const [site = '', wanted] = call.args;
  const plan = await planOnHost(call, site, call.options.repository);
  const { ctx } = await onHost(call, 'ls', plan.site);
  const { engines } = await import('../../activities/engines/index.js');
  const found: { repository: RepositorySpec; snapshot: Snapshot }[] = [];
  for (const repository of plan.repositories) {
    const all = await engines[repository.engine].list(repository, plan.siteId, ctx);
    const fitting = all.filter(
      ({ id, captureId }) => wanted === undefined || id.startsWith(wanted) || captureId === wanted,
    );
    found.push(...fitting.map((snapshot) => ({ repository, snapshot })));
  }
  const newest = found.sort((a, b) => a.snapshot.capturedAt.localeCompare(b.snapshot.capturedAt)).at(-1);
  if (!newest)
    throw new CliError(
      EXIT.usage,
      `there is no snapshot${wanted === undefined ? '' : ` ${wanted}`} of ${plan.site}; see: holdfast snapshots ${plan.site}`,
    );
  const { repository, snapshot } = newest;
  call.say(`${shortId(snapshot)} in ${repository.name}, captured ${snapshot.capturedAt}`);
  // Lines go out as they come: a snapshot may hold two million of them. One JSON object per line, for the same reason.
  for await (const { path, type, size, mtimeMs } of engines[repository.engine].contents(repository, snapshot.id, ctx)) {
    const at = new Date(mtimeMs).toISOString().slice(0, 19);
    if (call.json) call.cli.write(`${JSON.stringify({ schemaVersion: 1, path, type, size, mtime: `${at}Z` })}\n`);
    else call.cli.write(`${type} ${String(size).padStart(13)}  ${at.replace('T', ' ')}  ${path}\n`);
  }
  return EXIT.completed;
}
