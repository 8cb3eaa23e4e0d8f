import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

/** Begins every mark, so that a text without one is passed over quickly. Letters and digits look the same in URLs, JSON and quotes. */
const SIGN = 'hfmark';
/** A larger file is data of a test, not words about it. */
const LARGEST = 8e6;

/** A secret that can be told from every other text, however it is written. */
export interface Mark {
  name: string;
  /** The part that is looked for. */
  core: string;
  /** The secret itself: with characters that URLs, JSON, shells and configuration files write in another way. */
  secret: string;
}

export function createMark(name: string, dress: (core: string) => string = (core) => core): Mark {
  const core = `${SIGN}${randomBytes(8).toString('hex')}`;
  return { name, core, secret: dress(core) };
}

/** A secret that must have a form of its own, as a key has: `core` is its telling part. */
export const markOf = (name: string, secret: string, core: string): Mark => ({ name, core, secret });

/** How a text may hold another one: as it is, in hexadecimal digits, and within base64, where it begins at any of three places. */
export function writings(text: string): string[] {
  const bytes = Buffer.from(text);
  const inBase64 = [0, 1, 2].map((before) => {
    const all = Buffer.concat([Buffer.alloc(before), bytes]);
    // The first and last characters hold bits of what stands around it.
    const from = [0, 2, 3][before];
    return all.toString('base64').slice(from, Math.floor((all.length * 8) / 6));
  });
  const hex = bytes.toString('hex');
  return [text, hex, hex.toUpperCase(), ...inBase64];
}

const SIGNS = writings(SIGN);

/** Names of the marks that a text holds. */
export function marksIn(text: string, marks: readonly Mark[]): string[] {
  const signed = SIGNS.some((sign) => text.includes(sign));
  return marks
    .filter(({ core }) => signed || !core.startsWith(SIGN))
    .filter(({ core }) => writings(core).some((form) => text.includes(form)))
    .map(({ name }) => name);
}

/** Where each mark was seen. A place is a few words: what kind of thing, then which. */
export class Search {
  /** Mark → place → an excerpt. */
  readonly found = new Map<string, Map<string, string>>();

  constructor(readonly marks: readonly Mark[]) {}

  text(place: string, text: string): void {
    for (const name of marksIn(text, this.marks)) {
      const places = this.found.get(name) ?? new Map<string, string>();
      if (!places.has(place)) places.set(place, excerpt(text, this.marks.find((mark) => mark.name === name)!));
      this.found.set(name, places);
    }
  }

  /** All texts and bytes of a value, as protobuf has it: payloads are bytes. */
  value(place: string, value: unknown): void {
    if (typeof value === 'string') this.text(place, value);
    else if (value instanceof Uint8Array) this.text(place, Buffer.from(value).toString('utf8'));
    else if (typeof value === 'object' && value !== null)
      for (const [key, each] of Object.entries(value)) {
        this.text(place, key);
        this.value(place, each);
      }
  }

  /** Names and contents of all files below a directory; what goes meanwhile is passed over. */
  files(root: string, pass: (path: string) => boolean = () => false): void {
    const entries = attempt(() => readdirSync(root, { recursive: true, withFileTypes: true })) ?? [];
    for (const entry of entries) {
      const path = join(entry.parentPath, entry.name);
      const place = relative(root, path);
      if (pass(place)) continue;
      this.text(`file name ${place}`, place);
      if (!entry.isFile() || (attempt(() => statSync(path).size) ?? LARGEST) >= LARGEST) continue;
      this.text(`file ${place}`, attempt(() => readFileSync(path, 'latin1')) ?? '');
    }
  }

  places(mark: string): string[] {
    return [...(this.found.get(mark)?.keys() ?? [])];
  }
}

function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

function excerpt(text: string, { core }: Mark): string {
  const form = writings(core).find((each) => text.includes(each)) ?? '';
  const at = text.indexOf(form);
  return text.slice(Math.max(0, at - 80), at + form.length + 20).replaceAll('\n', '⏎');
}
