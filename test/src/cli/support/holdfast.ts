import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { commandArgs } from '../../../support/command.js';

export interface Ran {
  code: number;
  out: string;
  err: string;
}

export interface RunWords {
  cwd: string;
  env?: Record<string, string>;
  /** Sends SIGINT once the output holds this. */
  interruptAt?: RegExp;
}

/** Runs the command as a process of its own, as a shell would. */
export async function holdfast(args: string[], { cwd, env, interruptAt }: RunWords): Promise<Ran> {
  const child = spawn(process.execPath, [...commandArgs(), ...args], {
    cwd,
    env: { PATH: process.env.PATH, HOME: cwd, HOLDFAST_STATE_DIR: `${cwd}/state`, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  let interrupted = false;
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk;
    if (!interruptAt?.test(out) || interrupted) return;
    interrupted = true;
    child.kill('SIGINT');
  });
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk;
  });
  const [code] = (await once(child, 'close')) as [number];
  return { code, out, err };
}
