import { type SeafileOptions, type SeafileSite, seed } from '../../examples/seafile/seed.mjs';
import { seafile } from '../../src/apps/seafile.js';
import { gatherFacts } from '../../src/config/facts.js';
import { Plan } from '../../src/core/plan.js';

export { MAIN, SECRET, type SeafileOptions, type SeafileSite, VIRTUAL } from '../../examples/seafile/seed.mjs';

export const makeSeafile = (root: string, options: Omit<SeafileOptions, 'dir'> = {}): SeafileSite =>
  seed({ dir: root, ...options });

/** The plan of a site as `prepare` makes it. */
export async function seafilePlan(root: string, options: Record<string, unknown> = {}): Promise<Plan> {
  const facts = await gatherFacts(root, [], seafile.looksInto);
  const parsed = seafile.options.parse(options);
  const { databases, fileSets, uncovered, leftOut } = seafile.plan({ root, options: parsed }, facts);
  return Plan.parse({
    ...{ schema: 1, site: 'files', siteId: 'files', app: 'seafile', host: 'local', root, services: [] },
    ...{ databases, fileSets, uncovered, leftOut, options: parsed, hooks: {}, notify: [] },
    repositories: [{ name: 'nas', engine: 'archive', location: '/nowhere' }],
    ...{ limits: { downtimeMs: 300_000 }, objectives: {}, restore: {}, restoreTest: {}, configText: '' },
  });
}
