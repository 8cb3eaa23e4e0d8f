import { join, relative } from 'node:path';
import { MediagitOptions, mediagitPlaces } from '../../src/apps/mediagit.js';
import type { Check } from '../../src/core/report.js';
import type { Context, Restored } from '../contracts.js';
import { readConfig } from './mediagit-config.js';
import { type Ref, readRefs } from './mediagit-refs.js';
import { ObjectStore } from './mediagit-store.js';
import { type Finding, type Verified, verifyRepository } from './mediagit-verify.js';
import { type Tally, tally } from './tally.js';

/** Where a restored repository and its objects lie. The plan may know the site by another root than it was captured at. */
export function restoredPlaces({ manifest, plan, relocate }: Restored) {
  const options = MediagitOptions.parse(plan.options);
  const { git, objects } = mediagitPlaces(manifest.root, options);
  return { options, git: relocate(git), objects: relocate(objects) };
}

/** The application's rules, by our own reading of its formats: what its fsck says is no evidence. */
export async function repositoryChecks(restored: Restored, ctx: Context): Promise<Check[]> {
  const { options, git, objects } = restoredPlaces(restored);
  if (options.storage === 'cloud') {
    const evidence = 'kept by the provider: no part of this backup, and not proven by it';
    return [refsCheck(await readRefs(git)), await configCheck(git, restored), { name: 'objects', ok: true, evidence }];
  }
  const lost = new Set(options.knownLost);
  const bad: Finding[] = [];
  let missed = 0;
  const store = await ObjectStore.open(objects);
  const say = (finding: Finding) => {
    if (finding.state === 'missing' && lost.has(finding.id)) missed++;
    else if (finding.state === 'damaged' || finding.state === 'missing') bad.push(finding);
  };
  const found = await verifyRepository({ git, store }, restored.part, say, ctx);
  return [
    ...objectChecks(found, bad, missed, restored),
    refsCheck(found.refs),
    await configCheck(git, restored),
    ...told(found),
  ];
}

function objectChecks(found: Verified, bad: Finding[], missed: number, { root, part }: Restored): Check[] {
  const { hashed, ways } = found;
  const [objects, chunks, reached] = [tally(), tally(), tally()];
  objects.good(hashed.object + hashed.delta);
  chunks.good(hashed.chunk + hashed['chunk-delta'] + hashed.manifest);
  for (const { kind, id, path, state } of bad) {
    const way = ways.get(id);
    const place = `${relative(root, path)}${way ? ` (${way})` : ''}`;
    const of: Tally = state === 'missing' ? reached : kind === 'object' || kind === 'delta' ? objects : chunks;
    of.bad(place);
  }
  reached.good(found.reached - bad.filter(({ state }) => state === 'missing').length - missed);
  const rest = found.present > 0 ? `; ${found.present} others only had to be there` : '';
  const known = missed > 0 ? `; ${missed} are known to be lost` : '';
  return [
    objects.check(
      'objects',
      (seen) => `${seen} objects are what their names say`,
      (n, seen) => `${n} of ${seen} objects are damaged`,
    ),
    chunks.check(
      'chunks and manifests',
      () =>
        `${hashed.chunk + hashed['chunk-delta']} chunks and ${hashed.manifest} manifests are what their names say (share ${part.n}/${part.of})${rest}`,
      (n, seen) => `${n} of ${seen} chunks and manifests are damaged`,
    ),
    reached.check(
      'everything reachable',
      (seen) => `${seen} files that branches, tags and HEAD lead to are there${known}`,
      (n, seen) => `${n} of ${seen} files that branches, tags and HEAD lead to are missing`,
    ),
  ];
}

function refsCheck(refs: readonly Ref[]): Check {
  const found = tally();
  for (const { name, broken } of refs) {
    if (broken === undefined) found.good();
    else found.bad(`${name} ${broken}`);
  }
  return found.check(
    'refs',
    (seen) => `${seen} branches and tags lead to a commit`,
    (n, seen) => `${n} of ${seen} refs are broken`,
  );
}

/** Without it MediaGit itself finds no object, though each is there (measured). */
async function configCheck(git: string, { root }: Restored): Promise<Check> {
  const name = 'configuration';
  const config = await readConfig(git).catch(() => undefined);
  if (config) return { name, ok: true, evidence: `config.toml is there, with the backend ${config.backend}` };
  const places = [relative(root, join(git, 'config.toml'))];
  return { name, ok: false, evidence: 'config.toml is missing: MediaGit finds no object without it', places };
}

function told({ remembered: { there, gone }, packs }: Verified): Check[] {
  const evidence = `${there} of ${there + gone} commits that it remembers are there${gone > 0 ? '; gc removed the others' : ''}`;
  const unread = `${packs} packs of MediaGit’s own format, which only its program reads`;
  return [
    { name: 'reflog and stashes', ok: true, evidence },
    ...(packs > 0 ? [{ name: 'packs', ok: false, evidence: `could not be made: ${unread}` }] : []),
  ];
}
