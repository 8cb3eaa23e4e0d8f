import type { Command } from 'commander';
import type { Call, Cli } from './context.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { thisHost } from './sites.js';

export function register(program: Command, cli: Cli): void {
  const group = program.command('config').description('look at the config itself');
  cli
    .command(group, 'validate', 'every mistake of it, with line and column')
    .option('--no-machine', 'only what is written: no directories, secret files and rights of this machine')
    .action(cli.action(validate));
  cli
    .command(group, 'show', 'as Holdfast understands it: paths in full, one site or all')
    .argument('[site]')
    .action(cli.action(show));
  cli
    .command(group, 'schema', 'its JSON Schema, for editors')
    .option('--markdown', 'as a reference for people')
    .action(cli.action(schema));
}

async function validate(call: Call): Promise<ExitCode> {
  const { formatMistake, readConfig } = await import('../config/load.js');
  const look = call.options.machine === false ? 'nothing' : 'all';
  const file = call.configFile();
  const { config, mistakes } = await readConfig(file, { look, host: thisHost(call) });
  call.emit({ file, valid: config !== undefined, mistakes });
  for (const mistake of mistakes) call.say(formatMistake(mistake));
  if (!config) {
    call.say(`${mistakes.length} ${mistakes.length === 1 ? 'mistake' : 'mistakes'}`);
    return EXIT.usage;
  }
  const count = (n: number, one: string, many: string) => `${n} ${n === 1 ? one : many}`;
  const sites = count(Object.keys(config.sites).length, 'site', 'sites');
  call.say(
    `${file} is right: ${sites}, ${count(Object.keys(config.repositories).length, 'repository', 'repositories')}`,
  );
  return EXIT.completed;
}

async function show(call: Call): Promise<ExitCode> {
  const { loadConfig } = await import('../config/load.js');
  const { configText, configTextOf } = await import('../config/config-text.js');
  const config = await loadConfig(call.configFile(), { look: 'nothing', host: thisHost(call) });
  const [site] = call.args;
  if (site !== undefined && !Object.hasOwn(config.sites, site)) {
    const { CliError } = await import('./context.js');
    throw new CliError(
      EXIT.usage,
      `there is no site "${site}"; known: ${Object.keys(config.sites).join(', ') || 'none'}`,
    );
  }
  const text = site === undefined ? configText(config) : configTextOf(config, site);
  const { parse } = await import('yaml');
  call.emit({ file: config.path, config: parse(text) as Record<string, unknown> });
  call.say(text.trimEnd());
  return EXIT.completed;
}

/** Prints nothing but the document, whatever `--json` says: it goes into a file. */
async function schema(call: Call): Promise<ExitCode> {
  const { configJsonSchema, configReference } = await import('../config/reference.js');
  call.cli.write(call.options.markdown ? configReference() : `${JSON.stringify(configJsonSchema(), null, 2)}\n`);
  return EXIT.completed;
}
