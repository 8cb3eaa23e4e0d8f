import type { Command } from 'commander';
import { type Call, type Cli, CliError } from './context.js';
import { EXIT, type ExitCode } from './exit-codes.js';

export function register(program: Command, cli: Cli): void {
  cli
    .command(program, 'init', 'write a first config for what is installed here')
    .option('--root <dir>', "the application's directory (default: that of the compose file, else here)")
    .option('--name <site>', 'what to call it (default: after its directory)')
    .option('--app <app>', 'what kind it is (default: looked for)')
    .option('--compose <file>', 'its compose file (default: looked for)')
    .option('--unit <unit>', 'its systemd unit')
    .option('--none', 'it is never stopped')
    .option('--repository <location>', 'where backups go')
    .option('--engine <engine>', 'restic or archive (default: restic where it is installed)')
    .option('--dry-run', 'only show the config')
    .action(cli.action(init));
}

async function init(call: Call): Promise<ExitCode> {
  const { discover } = await import('./init-discover.js');
  const { initText } = await import('./init-text.js');
  const { writeNew } = await import('./write-new.js');
  const { findProgram } = await import('../../activities/tools/programs.js');
  const { existsSync } = await import('node:fs');
  const { dirname, join, resolve } = await import('node:path');
  const option = (name: string) =>
    typeof call.options[name] === 'string' ? (call.options[name] as string) : undefined;
  const { cwd, env } = call.cli;
  const isRoot = process.getuid?.() === 0;
  const file = resolve(cwd, option('config') ?? (isRoot ? '/etc/holdfast/holdfast.yaml' : 'holdfast.yaml'));
  const found = await discover({
    cwd,
    root: option('root'),
    name: option('name'),
    app: option('app'),
    compose: option('compose'),
    unit: option('unit'),
    none: call.options.none === true,
  });
  const engine = option('engine') ?? (findProgram('restic', env.PATH, cwd) ? 'restic' : 'archive');
  if (engine !== 'restic' && engine !== 'archive')
    throw new CliError(EXIT.usage, `there is no engine "${engine}"; name restic or archive`);
  const home = env.HOME ?? cwd;
  const location = option('repository') ?? (isRoot ? '/var/backups/holdfast' : join(home, 'holdfast-backups'));
  // A key inside the site would be backed up into the very repository that it opens.
  const beside = dirname(file);
  const keys = beside === found.root || beside.startsWith(`${found.root}/`) ? join(home, '.config/holdfast') : beside;
  const key = engine === 'restic' ? join(keys, 'restic.key') : undefined;
  const text = initText({
    ...found,
    engine,
    location,
    key,
    restored: isRoot ? join(dirname(found.root), 'restored') : join(home, 'holdfast-restored'),
    timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  });
  const dryRun = call.options.dryRun === true;
  if (dryRun) {
    call.say(text.trimEnd());
    call.emit({ dryRun, file, config: text });
    return EXIT.completed;
  }
  if (existsSync(file))
    throw new CliError(
      EXIT.usage,
      `there is a config at ${file}, and init never overwrites one; edit it, or name another with --config`,
    );
  const madeKey = key !== undefined && !existsSync(key);
  if (madeKey) await writeNew(key, `${(await import('node:crypto')).randomBytes(32).toString('base64url')}\n`, 0o600);
  await writeNew(file, text, 0o644);
  const { formatMistake, readConfig } = await import('../config/load.js');
  const mistakes = (await readConfig(file, { look: 'all' })).mistakes.map(formatMistake);
  const at = option('config') ? ` --config ${file}` : '';
  const next = mistakes.length > 0 ? `holdfast config validate${at}` : `holdfast explain ${found.name}${at}`;
  call.say(`wrote ${file}: ${found.name}, ${found.app} in ${found.root}`);
  for (const line of found.because) call.say(`  ${line}`);
  call.say(
    `  backups go to ${location} (${engine})${option('repository') ? '' : '; name another disk with --repository'}`,
  );
  if (madeKey) call.say(`  made the password ${key}; without a copy of it elsewhere no backup can be read`);
  for (const line of mistakes) call.say(`  to correct: ${line}`);
  if (env.npm_command === 'exec') call.say('  holdfast is not on your PATH: say npx holdfast here, or once: npm link');
  call.say(`next: ${next}`);
  call.emit({
    file,
    site: found.name,
    app: found.app,
    root: found.root,
    engine,
    location,
    ...(madeKey ? { key } : {}),
    mistakes,
    next,
  });
  return mistakes.length > 0 ? EXIT.usage : EXIT.completed;
}
