import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, visit } from 'yaml';
import type { Finding, Path } from './findings.js';

/** A YAML text that still knows where each value stands. */
export interface Source {
  raw: unknown;
  /** Mistakes of the YAML itself: with a position, not a path. */
  errors: { line: number; column: number; message: string }[];
  /** Keys that stand twice in one mapping. */
  duplicates: Finding[];
  locate: (finding: Finding) => { line: number; column: number };
}

export function readSource(text: string): Source {
  const lines = new LineCounter();
  // Duplicates are looked for below, where they get a path and a line each instead of ending the parse.
  const doc = parseDocument(text, { lineCounter: lines, uniqueKeys: false, merge: true, prettyErrors: false });
  const errors = yamlErrors(doc, lines, text);
  const duplicates: Finding[] = [];
  duplicatesOf(doc.contents, [], duplicates);
  return {
    raw: errors.length > 0 ? undefined : doc.toJS(),
    errors,
    duplicates,
    locate: (finding) => at(lines, finding.offset ?? offsetOf(doc, finding)),
  };
}

function at(lines: LineCounter, offset: number): { line: number; column: number } {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(1, line), column: Math.max(1, col) };
}

/** One mistake per line; a text that begins with * first, for YAML says things about the rest of that line that help nobody. */
function yamlErrors(doc: Document, lines: LineCounter, text: string): Source['errors'] {
  const errors: Source['errors'] = [];
  visit(doc, {
    Alias: (_, alias) => {
      if (alias.resolve(doc)) return;
      const message = 'is no YAML: a text that begins with * must be quoted, as "*/15 * * * *"';
      errors.push({ ...at(lines, alias.range?.[0] ?? 0), message });
    },
  });
  for (const error of doc.errors) {
    const place = at(lines, error.pos[0]);
    if (errors.some(({ line }) => line === place.line)) continue;
    errors.push({ ...place, message: `is no YAML: ${unquoted(error.message, text)}` });
  }
  return errors;
}

/** What the parser says, without the piece of the text that it repeats: it may be a secret. */
function unquoted(message: string, text: string): string {
  const [line = ''] = message.split('\n');
  const [, words, quoted] = /^(.*?): (.+)$/.exec(line) ?? [];
  return words !== undefined && quoted !== undefined && text.includes(quoted) ? words : line;
}

function duplicatesOf(node: unknown, path: Path, found: Finding[]): void {
  if (isMap(node)) {
    const keys = new Set<string>();
    for (const pair of node.items) {
      const key = String(isScalar(pair.key) ? pair.key.value : pair.key);
      if (keys.has(key) && key !== '<<')
        found.push({
          path: [...path, key],
          message: 'stands here twice; keep one',
          offset: (pair.key as Node).range?.[0] ?? 0,
        });
      keys.add(key);
      duplicatesOf(pair.value, [...path, key], found);
    }
  }
  if (isSeq(node)) node.items.forEach((item, i) => void duplicatesOf(item, [...path, i], found));
}

/** Where a finding's value begins; its key where the value is a block, is missing or is not to blame; the nearest parent that is written. */
function offsetOf(doc: Document, finding: Finding): number {
  let node: unknown = doc.contents;
  let offset = 0;
  for (const [i, part] of finding.path.entries()) {
    if (isAlias(node)) node = node.resolve(doc);
    const last = i === finding.path.length - 1;
    if (isMap(node)) {
      const pair = node.items.findLast((p) => String(isScalar(p.key) ? p.key.value : p.key) === String(part));
      if (!pair) return offset;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value;
      if (last && !finding.atKey && isScalar(node) && node.value !== null) offset = node.range?.[0] ?? offset;
    } else if (isSeq(node)) {
      node = node.items[Number(part)];
      offset = (node as Node | undefined)?.range?.[0] ?? offset;
    } else return offset;
  }
  return offset;
}
