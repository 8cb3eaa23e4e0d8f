import { mkdir, open, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { archiveEngine } from '../../../activities/engines/archive.js';
import { RepositorySpec } from '../../../src/core/plan.js';
import { engineSuite } from '../../conformance/engine-suite.js';

const spec = (location: string, more: object = {}): RepositorySpec =>
  RepositorySpec.parse({ name: 'vault', engine: 'archive', location, ...more });

async function flip(repo: RepositorySpec): Promise<void> {
  const dir = join(repo.location, 'site-1');
  const file = (await readdir(dir)).find((name) => name.includes('.tar.')) ?? '';
  const handle = await open(join(dir, file), 'r+');
  const at = Math.floor((await handle.stat()).size / 2);
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, at);
  await handle.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, at);
  await handle.close();
}

engineSuite('archive', {
  engine: archiveEngine,
  repository: async (dir) => spec(dir),
  flip,
  secrets: async () => [],
});

engineSuite('archive to age recipients', {
  engine: archiveEngine,
  repository: async (dir) => {
    const identity = await generateX25519Identity();
    const file = `${dir}.key`;
    await mkdir(join(dir, '..'), { recursive: true }).catch(() => {});
    await writeFile(file, `# a comment\n${identity}\n`, { mode: 0o600 });
    return spec(dir, { recipients: [await identityToRecipient(identity)], identity: { file } });
  },
  flip,
  secrets: async (repo) => [(await readFile((repo.identity as { file: string }).file, 'utf8')).split('\n')[1] ?? ''],
});
