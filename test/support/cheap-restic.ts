import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/*
 * An empty repository of restic's format 2 whose key costs nothing: `restic init` made it, then its key was wrapped anew with
 * the least scrypt that restic takes (N 2, r 1, p 1). Each call of restic derives the key first, which takes half a second of
 * a processor with the parameters that init chooses, and a case of the crash matrix has a dozen calls.
 */

export const CHEAP_PASSWORD = 'lab';

const KEY = {
  created: '2026-11-21T19:15:02.135401069Z',
  username: 'root',
  hostname: 'vm',
  kdf: 'scrypt',
  N: 2,
  r: 1,
  p: 1,
  salt: 'FGJwB+GQcTHPQBk+mSRGI7zAlDPUWpOkKokJDyf2CgUCgokq8qev7RgORZyEY5umaHTyMSFcbziJ+nb+rcnKwg==',
  data: 'LazNkAiL/pt9efrAcqbBESRwXPKCELh667DKlrF7iv+A4e0cS4yxTcUOcNApJ8qC/7dqfhdUbV3cpM3QUDYSLjKkL8ZTqeDwwkNycxp/dXKME4FAUAoM2L+tASG5+r+3lVl5Jl6bSDJQMfxJ/NSD0Agqw6AdaY2mrwJkIyYmgfqdP0DaZdKBwcnHCcT3MLMs1qQx92+785/ow6iPtQwU/w==',
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
