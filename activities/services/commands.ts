import { stat } from 'node:fs/promises';
import type { Command } from '../../src/core/plan.js';
import type { Context, RunOptions, RunResult } from '../contracts.js';
import { findProgram } from '../tools/programs.js';

/** Resolves the environment of a configured command. Secret values come apart, for `secretEnv`. Throws SecretUnavailable. */
export async function commandEnv(
  command: Command,
  ctx: Context,
): Promise<{ env: Record<string, string>; secretEnv: Record<string, string> }> {
  const env: Record<string, string> = {};
  const secretEnv: Record<string, string> = {};
  for (const [name, value] of Object.entries(command.env ?? {})) {
    if (typeof value === 'string') env[name] = value;
    else secretEnv[name] = await ctx.secret(value);
  }
  return { env, secretEnv };
}

/** Runs a command of the config with its own directory, environment and time limit. */
export async function runCommand(command: Command, ctx: Context, options: RunOptions = {}): Promise<RunResult> {
  const [program = '', ...args] = command.argv;
  return ctx.run(program, args, {
    ...(command.cwd ? { cwd: command.cwd } : {}),
    timeoutMs: command.timeoutMs,
    ...(await commandEnv(command, ctx)),
    ...options,
  });
}

/** Throws what would keep a configured command from running: ServiceUnknown (its directory), ToolMissing, SecretUnavailable. */
export async function checkCommand(name: string, command: Command, ctx: Context): Promise<void> {
  const cwd = command.cwd ?? '/';
  if (!(await isDirectory(cwd))) throw ctx.fail('ServiceUnknown', `the directory of ${name} is not there: ${cwd}`);
  const program = command.argv[0] ?? '';
  const { env } = await commandEnv(command, ctx);
  if (!findProgram(program, env.PATH, cwd))
    throw ctx.fail('ToolMissing', `the program of ${name} cannot be run: ${program}`);
}

export async function isDirectory(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}
