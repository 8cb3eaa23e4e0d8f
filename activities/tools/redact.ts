/** Removes secrets from what a step says. Secrets may be added at any time; those below 4 characters would blot out ordinary text. */
export interface Redactor {
  add(...secrets: string[]): void;
  text(text: string): string;
  /** For output that comes in pieces: holds back as much as could be the beginning of a secret. */
  stream(): { push(piece: string): string; end(): string };
}

const SHORTEST = 4;
/** A single line of a key is a secret too, but a short line is not. */
const SHORTEST_LINE = 8;
/** A key of many lines is not looked for in other codes: as much of a stream as its longest form would be held back. */
const LONGEST_CODED = 256;
const MASK = '***';

export function createRedactor(): Redactor {
  const known = new Set<string>();
  let pattern: RegExp | undefined;
  let longest = 0;

  const add = (...secrets: string[]): void => {
    const before = known.size;
    for (const form of secrets.flatMap(forms)) known.add(form);
    if (known.size === before) return;
    const sorted = [...known].sort((a, b) => b.length - a.length);
    longest = sorted[0]?.length ?? 0;
    pattern = new RegExp(sorted.map((s) => s.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|'), 'g');
  };
  const text = (all: string): string => (pattern ? all.replace(pattern, MASK) : all);

  const stream = () => {
    let held = '';
    return {
      push(piece: string): string {
        held += piece;
        // A match that begins before the cut goes whole; one that begins after it may yet grow into a longer secret.
        let cut = Math.max(0, held.length - Math.max(0, longest - 1));
        for (const match of pattern ? held.matchAll(pattern) : []) {
          if (match.index >= cut) break;
          cut = Math.max(cut, match.index + match[0].length);
        }
        const out = text(held.slice(0, cut));
        held = held.slice(cut);
        return out;
      },
      end(): string {
        const out = text(held);
        held = '';
        return out;
      },
    };
  };
  return { add, text, stream };
}

/** A secret as tools print it: as it is, trimmed, in a URL, in JSON, in a shell's trace, in hexadecimal digits, in base64, and line by line. */
function forms(secret: string): string[] {
  const trimmed = secret.trim();
  const lines = trimmed.includes('\n') ? trimmed.split('\n').map((line) => line.trim()) : [];
  const url = encodeURIComponent(trimmed);
  // Go, JavaScript and forms do not agree on these.
  const strict = url.replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  const json = JSON.stringify(trimmed).slice(1, -1);
  const inGo = json.replace(/[<>&]/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`);
  return [
    ...[trimmed, url, strict, strict.replaceAll('%20', '+'), json, inGo, trimmed.replaceAll("'", "'\\''")].filter(
      (form) => form.length >= SHORTEST,
    ),
    ...[...(trimmed.length <= LONGEST_CODED ? coded(trimmed) : []), ...lines].filter(
      (form) => form.length >= SHORTEST_LINE,
    ),
  ];
}

/** In hexadecimal digits, and in base64 wherever it begins in it: `user:password` of a header, say. */
function coded(text: string): string[] {
  const bytes = Buffer.from(text);
  const hex = bytes.toString('hex');
  const inBase64 = [0, 1, 2].map((before) => {
    const all = Buffer.concat([Buffer.alloc(before), bytes]);
    // Characters at both ends hold bits of what stands around it.
    return all.toString('base64').slice([0, 2, 3][before], Math.floor((all.length * 8) / 6));
  });
  return [hex, hex.toUpperCase(), bytes.toString('base64'), ...inBase64];
}
