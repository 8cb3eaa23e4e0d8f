import { Command } from 'commander';
import { type Cli, createCli } from '../../src/cli/context.js';

export interface Ran {
  code: number | undefined;
  out: string;
  err: string;
}

/** Runs one command of ours in this process, with its own directory and environment. */
export async function runCommand(
  register: (program: Command, cli: Cli) => void,
  args: string[],
  place: Pick<Cli, 'cwd' | 'env'> & Partial<Cli>,
): Promise<Ran> {
  const ran: Ran = { code: undefined, out: '', err: '' };
  const cli = createCli({
    ...place,
    tty: false,
    write: (text) => {
      ran.out += text;
    },
    writeError: (text) => {
      ran.err += text;
    },
  });
  const program = new Command('holdfast').exitOverride();
  register(program, cli);
  const before = process.exitCode;
  await program.parseAsync(['node', 'holdfast', ...args]);
  ran.code = process.exitCode as number | undefined;
  process.exitCode = before;
  return ran;
}
