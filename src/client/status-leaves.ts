import type { Concern, Copy, SiteFacts } from './status-facts.js';

/**
 * Told where every stored copy lies on this machine's own disks: a fire, a thief or a wrong command on it takes them all. A directory may be a
 * mount of another machine's: whoever knows that says `offsite`.
 */
export function leaves(copies: readonly Copy[], repositories: SiteFacts['repositories']): Concern[] {
  const stored = copies.filter(({ capturedAt }) => capturedAt !== undefined).map(({ repository }) => repository);
  const stays = ({ name, offsite, local }: SiteFacts['repositories'][number]) =>
    stored.includes(name) && local === true && !offsite;
  if (stored.length === 0 || repositories.filter(stays).length < stored.length) return [];
  return [
    { mark: ' ', text: 'no copy leaves this machine; add a repository elsewhere, or say offsite: true of one that is' },
  ];
}
