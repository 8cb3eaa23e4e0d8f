import type { Manifest } from '../../src/core/manifest.js';
import { formatAddress } from '../../src/core/names.js';
import { livesElsewhere, type Plan, type RepositorySpec } from '../../src/core/plan.js';
import type { FetchInput } from '../api.js';
import type { Context } from '../contracts.js';
import { engines } from '../engines/index.js';
import { canRead } from './repository-of.js';

/** Another application's data, or another site's, must not take this one's place. */
export function mustBeOf(manifest: Manifest, { from }: FetchInput, plan: Plan, ctx: Context): void {
  if (manifest.app !== plan.app)
    throw ctx.fail('RestoreRefused', `the snapshot is of ${manifest.app}, and ${plan.site} is ${plan.app}`, {
      advice: 'make the site here of the same `app`',
    });
  if (manifest.siteId !== plan.siteId)
    throw ctx.fail('RestoreRefused', `the snapshot is of a site with the id ${manifest.siteId}`, {
      advice: `set \`id: ${manifest.siteId}\` for ${plan.site}, if it is to become that site`,
    });
  if (from && (manifest.site !== from.site || manifest.host !== from.host))
    throw ctx.fail('RestoreRefused', `the snapshot is of ${formatAddress(manifest)}, not of ${formatAddress(from)}`, {
      advice: 'name that one, or another snapshot',
    });
}

/** Whether this host can restore from a repository: one on another machine it must be able to read over SSH. */
export function reaches(repository: RepositorySpec, plan: Plan): boolean {
  if (livesElsewhere(repository, plan.host)) return repository.ssh !== undefined;
  return repository.proveOn === undefined || canRead(repository);
}

export function outOfReach(repository: RepositorySpec, ctx: Context): Error {
  return ctx.fail('RestoreRefused', `repository ${repository.name} is on ${repository.host}`, {
    advice: 'give it `ssh` in the config here, or restore on that host (docs/hosts.md)',
  });
}

/** A new host that has no snapshot may have another id for the site than the one that it was. */
export async function noneHere(input: FetchInput, plan: Plan, ctx: Context): Promise<Error> {
  const asked = plan.repositories.filter(({ name }) => name === (input.repository ?? name));
  const [first] = asked;
  if (first && asked.every((repository) => !reaches(repository, plan))) {
    if (livesElsewhere(first, plan.host)) return outOfReach(first, ctx);
    return ctx.fail('KeyMissing', `the key of repository ${first.name} is on ${first.proveOn}`);
  }
  const ids = new Set<string>();
  if (input.from)
    for (const repository of plan.repositories)
      for (const id of await engines[repository.engine].sites(repository, ctx).catch(() => [])) ids.add(id);
  const others = [...ids].filter((id) => id !== plan.siteId);
  return ctx.fail('SnapshotMissing', `no repository has snapshot ${input.snapshot} of ${plan.site}`, {
    ...(others.length > 0
      ? { advice: `they hold sites with the ids ${others.join(', ')}: set \`id\` of ${plan.site} to the right one` }
      : {}),
  });
}
