#!/usr/bin/env node
import { CommanderError } from 'commander';
import { createCli } from './context.js';
import { EXIT } from './exit-codes.js';
import { buildProgram } from './program.js';

// `holdfast history cms | head -3`: whoever reads has had enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

try {
  await buildProgram(createCli()).parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? EXIT.completed : EXIT.usage;
}
