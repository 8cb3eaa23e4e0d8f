import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { type Call, type Cli, CliError } from './context.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { stateDirOf } from './status.js';

export function register(program: Command, cli: Cli): void {
  cli
    .command(program, 'logs', 'what the tools of a run said, step by step (on the host that ran it)')
    .argument('<run>', 'its id, or a site: its newest run')
    .option('--step <name>', 'only this step')
    .option('--state-dir <dir>', 'where this host keeps its logs (default: HOLDFAST_STATE_DIR, else the usual place)')
    .action(cli.action(logs));
}

async function logs(call: Call): Promise<ExitCode> {
  const root = join(stateDirOf(call), 'logs');
  const run = await findRun(root, call.args[0] ?? '');
  const step = call.options.step;
  const files = (await inOrder(join(root, run))).filter(
    (name) => name.endsWith('.log') && (step === undefined || name === `${step}.log` || name.startsWith(`${step}-`)),
  );
  const texts = await Promise.all(files.map((name) => readFile(join(root, run, name), 'utf8')));
  files.forEach((name, i) => {
    call.say(`── ${name.replace(/\.log$/, '')}`);
    call.say(texts[i]?.trimEnd());
  });
  if (files.length === 0) call.say(`${run} has no log${step ? ` of a step ${String(step)}` : ''}`);
  call.emit({
    run,
    logs: files.map((name, i) => ({ step: name.replace(/\.log$/, ''), text: texts[i] })),
    exitCode: EXIT.completed,
  });
  return EXIT.completed;
}

/** The run of that id, or the newest one of that site. */
async function findRun(root: string, text: string): Promise<string> {
  const runs = await readdir(root).catch(() => [] as string[]);
  if (runs.includes(text)) return text;
  const { isRunOf } = await import('../client/runs.js');
  const newest = runs
    .filter((run) => isRunOf(run, text))
    .sort((a, b) => timeOf(a).localeCompare(timeOf(b)))
    .at(-1);
  if (newest) return newest;
  throw new CliError(
    EXIT.usage,
    `there is no log of ${text} in ${root}; logs lie on the host that ran it, and belong to its worker`,
  );
}

const timeOf = (run: string) => run.slice(-20);

/** The steps in the order in which they began. */
async function inOrder(dir: string): Promise<string[]> {
  const files = await Promise.all(
    (await readdir(dir)).map(async (name) => ({ name, at: (await stat(join(dir, name))).birthtimeMs })),
  );
  return files.sort((a, b) => a.at - b.at).map(({ name }) => name);
}
