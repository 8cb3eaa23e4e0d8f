import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { findProgram } from './packages.mjs';

const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'holdfast');
const BIN = join(CACHE, 'bin');
const TOOLS = process.env.HOLDFAST_TOOLS ?? join(CACHE, 'tools');
const S3 = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0';

/** Programs of the tests that no Debian package has: each is built once, into our cache. */
const PROGRAMS = [
  {
    name: 'an S3 server',
    there: () => findProgram('versitygw') || existsSync(join(BIN, 'versitygw')),
    command: ['go', 'install', S3],
    env: { GOBIN: BIN },
  },
  {
    name: 'Compose v2',
    there: () => existsSync(join(TOOLS, 'compose-v2.40.3/cli-plugins/docker-compose')),
    command: ['sh', 'scripts/get-compose-v2.sh'],
  },
];

/** Builds what lacks where Go is installed; elsewhere the tests that need it say so and are skipped. */
export function buildGoPrograms(root, say, { programs = PROGRAMS } = {}) {
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/local/go/bin` };
  for (const { name, there, command, env: more } of programs) {
    if (there()) continue;
    const [program, ...args] = command;
    say(`setup: ${name}: ${command.join(' ')} (a few minutes, once)`);
    try {
      execFileSync(program, args, {
        cwd: root,
        env: { ...env, ...more },
        stdio: ['ignore', 'ignore', 'pipe'],
        timeout: 1_800_000,
      });
    } catch (error) {
      const said = String(error.stderr ?? '').trim() || error.message;
      say(`setup: without ${name}: ${said.split('\n').at(-1)}`);
    }
  }
}
