import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type AppSite, filesIn, NEVER_STOPPED } from './app-site.js';
import type { Lab } from './lab.js';
import { sampleRepository } from './mediagit-repository.js';

/** MediaGit: one repository that nobody stops; its refs are staged, its objects stored from where they lie. */
export async function mediagitApp(lab: Lab): Promise<AppSite> {
  const root = join(lab.dir, 'app/media');
  const sample = await sampleRepository(join(root, '.mediagit'));
  await writeFile(join(root, 'notes.txt'), 'a work tree');
  await lab.configure(({ sites }) => {
    sites.cms = {
      ...{ app: 'mediagit', root, service: 'none', repositories: ['nas', 'local'], limits: { reserve: '10MB' } },
      restoreTest: { scratch: lab.scratch, sample: '1/1' },
    };
  });
  return {
    root,
    repositories: ['nas', 'local'],
    ...NEVER_STOPPED,
    look: () => filesIn(root, /^$/),
    // The work tree and the directories of the staged refs are no part of a snapshot.
    bare: (line) => (/^(notes\.txt|\.mediagit)\t/.test(line) ? '' : line),
    lookIn: async (tree, staging) => {
      const refs = join(staging, 'files/refs');
      return [
        ...(await filesIn(join(tree, root, '.mediagit'), /^$/, '.mediagit/')),
        ...(existsSync(refs) ? await filesIn(refs, /^$/, '.mediagit/') : []),
      ].sort();
    },
    change: async (n) => {
      const id = await sample.put(Buffer.from(`generation ${n}`));
      // A restore in place took back what was committed since.
      const main = readFileSync(join(root, '.mediagit/refs/heads/main'), 'utf8').trim();
      const commit = await sample.commit({ ...sample.files, 'generation.txt': id }, [n % 5 === 0 ? sample.main : main]);
      await sample.ref('refs/heads/main', commit);
      await sample.ref(`refs/heads/generation-${n % 3}`, commit);
    },
  };
}
