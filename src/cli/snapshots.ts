import type { Command } from 'commander';
import { formatBytes } from '../core/durations.js';
import { consistencyWords, type Snapshot } from '../core/manifest.js';
import { shortId } from '../core/names.js';
import type { Level, RepositoryReport } from '../core/report.js';
import type { Call, Cli } from './context.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { onHost, planOnHost } from './on-host.js';
import { stateDirOf } from './status.js';
import { table } from './table.js';

type Shown = Snapshot & { level: Level };

export function register(program: Command, cli: Cli): void {
  cli
    .command(program, 'snapshots', 'what the repositories hold of a site, newest first (on its host)')
    .argument('<site>')
    .option('-r, --repository <name>', 'only this one')
    .option(
      '--state-dir <dir>',
      'the state directory of its worker (default: HOLDFAST_STATE_DIR, else the usual place)',
    )
    .action(cli.action(snapshots));
}

async function snapshots(call: Call): Promise<ExitCode> {
  const plan = await planOnHost(call, call.args[0] ?? '', call.options.repository);
  const { ctx } = await onHost(call, 'snapshots', plan.site);
  const [{ engines }, { knownLevels, readReports }, { openState }] = await Promise.all([
    import('../../activities/engines/index.js'),
    import('../../activities/reports.js'),
    import('../../activities/site/state.js'),
  ]);
  const state = await openState(stateDirOf(call));
  // A restic before 0.17 does not tell the size of a snapshot; the run that made it does.
  const stored = (await readReports(state, plan.site)).flatMap(({ repositories }) => repositories);
  const failures: { repository: string; message: string }[] = [];
  const { livesElsewhere } = await import('../core/plan.js');
  const away = plan.repositories.filter((each) => livesElsewhere(each, plan.host) && !each.ssh);
  for (const { name, host } of away)
    call.say(`${name} is on ${host}: look there, or give it \`ssh\` here (docs/hosts.md)`);
  const found = await Promise.all(
    plan.repositories
      .filter((each) => !away.includes(each))
      .map(async (repository): Promise<Shown[]> => {
        try {
          const all = await engines[repository.engine].list(repository, plan.siteId, ctx);
          const { verified, proven } = await knownLevels(state, plan.site, repository.name);
          return all.map((one) => ({
            ...sizeOf(one, stored),
            ...one,
            level: proven.has(one.id) ? 'proven' : verified.has(one.id) ? 'verified' : 'stored',
          }));
        } catch (error) {
          failures.push({
            repository: repository.name,
            message: error instanceof Error ? error.message : String(error),
          });
          return [];
        }
      }),
  );
  const all = found.flat().sort((a, b) => b.capturedAt.localeCompare(a.capturedAt));
  const head = ['CAPTURED (UTC)', 'REPOSITORY', 'SNAPSHOT', 'LEVEL', 'SIZE', 'KIND'];
  if (all.length > 0) for (const line of table([head, ...all.map(row)])) call.say(line);
  else if (failures.length === 0 && away.length === 0)
    call.say(`no snapshot of ${plan.site} yet; make one with: holdfast backup ${plan.site}`);
  for (const { message } of failures) call.cli.writeError(`holdfast: ${message}\n`);
  const exitCode = failures.length === 0 ? EXIT.completed : all.length > 0 ? EXIT.partial : EXIT.failed;
  call.emit({ site: plan.site, snapshots: all, failures, exitCode });
  return exitCode;
}

function sizeOf({ repository, id }: Snapshot, stored: RepositoryReport[]): { bytes?: number } {
  const entry = stored.find((each) => each.repository === repository && each.snapshot === id && each.bytes);
  return entry?.bytes === undefined ? {} : { bytes: entry.bytes };
}

function row({ capturedAt, captureId, repository, id, level, bytes, kind, complete, consistency }: Shown): string[] {
  return [
    capturedAt.slice(0, 19).replace('T', ' '),
    repository,
    shortId({ id, captureId }),
    complete ? level : 'INCOMPLETE',
    bytes === undefined ? '' : formatBytes(bytes),
    consistency ? `${kind}, ${consistencyWords(consistency)}` : kind,
  ];
}
