import { join } from 'node:path';
import type { Database } from '../contracts.js';
import { checkCommand, runCommand } from '../services/commands.js';
import { type CommandSpec, checked, countLines, dumpCommand, printOf } from './command-dump.js';
import { commandExchange } from './command-exchange.js';

/** A program of the config that prints a dump. Its exit code alone is no proof: `ends` and `leastBytes` say when it is whole. */
export const commandDatabase: Database<CommandSpec> = {
  kind: 'command',

  async preflight(spec, ctx) {
    await checkCommand(`the dump command of ${spec.name}`, spec.dump, ctx);
    if (spec.load) await checkCommand(`the load command of ${spec.name}`, spec.load, ctx);
    return { bytes: spec.leastBytes, tools: {} };
  },

  dump: (spec, dir, fence, ctx) => dumpCommand(spec, join(dir, `${spec.name}.out`), fence, ctx),

  async live(spec, ctx) {
    let lines = 0;
    await runCommand(spec.dump, ctx, {
      onStdout: async (stdout) => {
        lines = await countLines(stdout);
      },
    });
    return printOf(lines);
  },

  inspect: checked,
  load: (file, format, _target, ctx) => checked(file, format, ctx),
  exchangeable: commandExchange,
  sidecars: () => [],
};
