import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/*
 * An empty repository of restic's format 2 whose key costs nothing: `restic init` made it, then its key was wrapped anew with
 * the least scrypt that restic takes (N 2, r 1, p 1). Each call of restic derives the key first, which takes half a second of
 * a processor with the parameters that init chooses, and a case of the crash matrix has a dozen calls.
 */

export const CHEAP_PASSWORD = 'costs-nothing-to-open';

const KEY = {
  created: '2026-11-21T19:15:02.135401069Z',
  username: 'root',
  hostname: 'vm',
  kdf: 'scrypt',
  N: 2,
  r: 1,
  p: 1,
  salt: 'bnuKWNcC7vu35KPsaUnDYXHkC2wofn+ZZagLRTIceZgwPAixTsCEPg2T/QfzS2Qh+fvs1FYg/tRpcgH1udmdrQ==',
  data: 'pv0GQDSyqORzy6ekWRELN2eIMUUp+D90AqeQEkPIjU3c6Rw5GcjuehgLJBX4xLqtCndKgh2ntnpiPfeRsEJtb+EPdACsVXSSdwqrkX5Tok1T99mWAxPyoK2SG/U7QcDLsyk1cJjKRxASbJgfUojd3Q9eoqiDie8ivkxcVng9/YH1l1DpuYFXAbmchHuxKp0g4JuTCEMIo5lgCZCiMWFLcw==',
};

const CONFIG =
  'CER8WrhPlsU5cfkapWLFvBnXZtkCGskgBTE5t+MPyl7e4emgL2n6CtBQtG4f8gomfD1lvQhD3yEX8vxaP5nhElf7om8WOsfrPxnq' +
  'CZEGifgJB+0Jax2Pyd9E8OMwXxtw7ObZEQaELscQd1DJv7oXQvX9RjRTkACK6QEZUnDjHOiF+XROJkrjCl28qdVjP5KHBvXkl3r7' +
  'Wkv5krg=';

/** Lays the repository at `location`. */
export async function layCheapRepository(location: string): Promise<void> {
  for (const name of ['data', 'index', 'keys', 'locks', 'snapshots'])
    await mkdir(join(location, name), { recursive: true, mode: 0o700 });
  const key = JSON.stringify(KEY);
  await writeFile(join(location, 'keys', createHash('sha256').update(key).digest('hex')), key, { mode: 0o600 });
  await writeFile(join(location, 'config'), Buffer.from(CONFIG, 'base64'), { mode: 0o600 });
}
