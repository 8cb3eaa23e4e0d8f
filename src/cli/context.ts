import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { EXIT, type ExitCode } from './exit-codes.js';

/**
 * What every command gets: where it runs (environment, terminal, clock), and one way to take options, print, and end.
 * Commands are `register(program, cli)`; they load heavy modules (Temporal, zod, yaml) inside their action, so that
 * `holdfast --help` answers at once.
 */
export interface Cli {
  env: NodeJS.ProcessEnv;
  cwd: string;
  /** A terminal gets progress and colours; a pipe gets plain lines. */
  tty: boolean;
  now: () => Date;
  write: (text: string) => void;
  writeError: (text: string) => void;
  /** `program.command(spec)` with `--config` and `--json` already on it. */
  command: (program: Command, spec: string, about: string) => Command;
  /** Wraps an action: prints what it throws, and sets the exit code that it returns (none is 0). */
  action: (run: (call: Call) => Promise<ExitCode | number | undefined>) => (...args: unknown[]) => Promise<void>;
}

/** One invocation. */
export interface Call {
  cli: Cli;
  args: (string | undefined)[];
  /** Long names in camel case, as commander has them. */
  options: Record<string, unknown>;
  json: boolean;
  /** Absolute path of the config: `--config`, else `./holdfast.yaml`, else `/etc/holdfast/holdfast.yaml`. Throws a CliError where none is there. */
  configFile: () => string;
  /** One line for people; nothing with `--json`. */
  say: (text?: string) => void;
  /** The one JSON object of `--json`, `schemaVersion: 1` first; nothing without it. */
  emit: (value: Record<string, unknown>) => void;
}

/** Ends the command with `code`: `message` is for people, `mistakes` lists each thing to correct. */
export class CliError extends Error {
  override name = 'CliError';
  constructor(
    readonly code: ExitCode,
    message: string,
    readonly mistakes: readonly string[] = [],
  ) {
    super(message);
  }
}

export const CONFIG_PLACES = ['holdfast.yaml', '/etc/holdfast/holdfast.yaml'];

/** Where the config is. `option` is what `--config` said. */
export function findConfig(cwd: string, option: unknown): string {
  if (typeof option === 'string') {
    const path = resolve(cwd, option);
    if (existsSync(path)) return path;
    throw new CliError(EXIT.usage, `there is no config at ${path}; correct --config, or write one with: holdfast init`);
  }
  const found = CONFIG_PLACES.map((place) => resolve(cwd, place)).find((path) => existsSync(path));
  if (found) return found;
  throw new CliError(
    EXIT.usage,
    `no config: neither ./holdfast.yaml nor ${CONFIG_PLACES[1]} is there; write one with: holdfast init, or name it with --config`,
  );
}

/** The real one; tests replace what they look at. */
export function createCli(overrides: Partial<Cli> = {}): Cli {
  const cli: Cli = {
    env: process.env,
    cwd: process.cwd(),
    tty: Boolean(process.stdout.isTTY),
    now: () => new Date(),
    write: (text) => void process.stdout.write(text),
    writeError: (text) => void process.stderr.write(text),
    command: (program, spec, about) =>
      program
        .command(spec)
        .description(about)
        .option('-c, --config <file>', 'the config (default: ./holdfast.yaml, then /etc/holdfast/holdfast.yaml)')
        .option('--json', 'one JSON object instead of text'),
    action:
      (run) =>
      async (...all) => {
        const call = callOf(cli, all);
        try {
          process.exitCode = (await run(call)) ?? EXIT.completed;
        } catch (error) {
          process.exitCode = await reportError(call, error);
        }
      },
    ...overrides,
  };
  return cli;
}

/** Commander hands over: each argument, the options, the command. */
function callOf(cli: Cli, all: unknown[]): Call {
  const command = all.at(-1) as Command;
  const options = command.optsWithGlobals() as Record<string, unknown>;
  const json = options.json === true;
  return {
    cli,
    args: (all.slice(0, -2) as (string | string[] | undefined)[]).flat(),
    options,
    json,
    configFile: () => findConfig(cli.cwd, options.config),
    say: (text = '') => {
      if (!json) cli.write(`${text}\n`);
    },
    emit: (value) => {
      if (json) cli.write(`${JSON.stringify({ schemaVersion: 1, ...value }, null, 2)}\n`);
    },
  };
}

async function reportError(call: Call, error: unknown): Promise<number> {
  const { code, message, mistakes } = await explain(error);
  if (call.json) call.emit({ error: { message, ...(mistakes.length > 0 ? { mistakes } : {}) }, exitCode: code });
  else call.cli.writeError([`holdfast: ${message}`, ...mistakes.map((line) => `  ${line}`), ''].join('\n'));
  return code;
}

/** Failures of the catalogue and connection errors become an exit code and one line; anything else shows its stack, being a fault of ours. */
async function explain(error: unknown): Promise<{ code: number; message: string; mistakes: readonly string[] }> {
  if (error instanceof CliError) return error;
  const { explainFailure } = await import('./explain-error.js');
  return explainFailure(error);
}
