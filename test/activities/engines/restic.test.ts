import { execFileSync } from 'node:child_process';
import { chmod, mkdir, open, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { resticEngine } from '../../../activities/engines/restic.js';
import { findProgram } from '../../../activities/tools/programs.js';
import { RepositorySpec } from '../../../src/core/plan.js';
import { engineSuite } from '../../conformance/engine-suite.js';
import { CHEAP_PASSWORD, layCheapRepository } from '../../support/cheap-restic.js';

engineSuite('restic', {
  engine: resticEngine,
  skip: findProgram('restic') ? false : 'restic is not installed',
  repository: async (dir) => {
    const file = `${dir}.password`;
    await mkdir(join(dir, '..'), { recursive: true });
    await writeFile(file, `${CHEAP_PASSWORD}\n`, { mode: 0o600 });
    await writeFile(`${dir}.aws`, 'aws-secret-value\n', { mode: 0o600 });
    return RepositorySpec.parse({
      ...{ name: 'nas', engine: 'restic', location: dir, password: { file } },
      credentials: { AWS_SECRET_ACCESS_KEY: { file: `${dir}.aws` } },
    });
  },
  lay: (repo) => layCheapRepository(repo.location),
  async flip(repo) {
    // The largest pack holds data, not trees.
    const out = execFileSync('sh', ['-c', 'find data -type f -printf "%s %p\\n" | sort -rn | head -1'], {
      cwd: repo.location,
      encoding: 'utf8',
    });
    const pack = join(repo.location, out.trim().split(' ')[1] ?? '');
    await chmod(pack, 0o600);
    const handle = await open(pack, 'r+');
    const at = Math.floor((await stat(pack)).size / 2);
    const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, at);
    await handle.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, at);
    await handle.close();
  },
  secrets: async (repo) => [
    (await readFile((repo.password as { file: string }).file, 'utf8')).trim(),
    'aws-secret-value',
  ],
});
