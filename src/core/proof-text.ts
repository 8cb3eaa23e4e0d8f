import type { Check } from './report.js';

/** So many places are named in a failure, the one in the evidence among them; all that were kept are in the report. */
const NAMED = 3;
const LONGEST = 200;

/** What a failed check showed and where, on one line: its first places, and how many more it kept. */
export function failedCheck({ name, evidence, places = [] }: Check): string {
  // The evidence often names the first of them.
  const others = places.filter((place) => !evidence.includes(place));
  let text = clipped(`${name}: ${evidence}`);
  const named: string[] = [];
  for (const place of others.slice(0, NAMED - 1)) {
    if (text.length + place.length > LONGEST) break;
    text += `${named.length === 0 ? ' (' : ', '}${place}`;
    named.push(place);
  }
  const left = others.length - named.length;
  const more = left > 0 ? `and ${left} more` : '';
  if (named.length > 0) return `${text}${more && ` ${more}`})`;
  return more ? `${text} (${more})` : text;
}

const clipped = (text: string) => (text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text);

/** A check whose places are told from a site's root on, wherever that lies: `videos/a.ts`. */
export function fromRoots(check: Check, roots: readonly string[]): Check {
  const prefixes = roots.map((root) => `${root.replace(/\/+$/, '')}/`).filter((prefix) => prefix !== '/');
  const from = (text: string) => prefixes.reduce((said, prefix) => said.replaceAll(prefix, ''), text);
  const { evidence, places } = check;
  return { ...check, evidence: from(evidence), ...(places ? { places: places.map(from) } : {}) };
}
