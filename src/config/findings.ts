import { z } from 'zod';
import { suggestion } from '../core/near.js';
import { ConfigFile } from './schema.js';
import { forms, formsFor, type Json } from './shapes.js';

/** One mistake and where in the config it is, as the path of keys. */
export interface Finding {
  path: Path;
  message: string;
  /** The key itself is wrong, not its value. */
  atKey?: boolean;
  /** Where it stands in the text, when that is known better than by path. */
  offset?: number;
}
export type Path = (string | number)[];

type Issue = z.core.$ZodIssue;

/** The schema's issues as sentences, each with the nearest known key where one was unknown. */
export function toFindings(issues: readonly Issue[], raw: unknown, base: Path = [], schema = ConfigFile as z.ZodType) {
  const json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return issues.flatMap((issue) => explain(issue, raw, json)).map((f) => ({ ...f, path: [...base, ...f.path] }));
}

function explain(issue: Issue, raw: unknown, json: Json): Finding[] {
  const path = issue.path.map((part) => (typeof part === 'number' ? part : String(part)));
  const value = valueAt(raw, path);
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((unknown) => ({
        path: [...path, unknown],
        message: `unknown key; ${suggestion(unknown, knownKeys(json, path, raw))}`,
        atKey: true,
      }));
    case 'invalid_key':
      return [{ path, message: issue.issues[0]?.message ?? issue.message, atKey: true }];
    case 'invalid_union':
      if (value === undefined) return [{ path, message: 'is missing' }];
      return bestBranch(issue, value).flatMap((inner) => {
        const moved = { ...inner, path: [...issue.path, ...inner.path] } as Issue;
        return explain(moved, raw, json);
      });
    case 'invalid_type':
      if (value === undefined) return [{ path, message: 'is missing' }];
      if (value === null) return [{ path, message: 'has no value' }];
      return [
        {
          path,
          message: /^Invalid/.test(issue.message)
            ? `must be ${KINDS[issue.expected] ?? issue.expected}, not ${kindOf(value)}`
            : issue.message,
        },
      ];
    case 'invalid_value': {
      const values = issue.values.map(String);
      if (value === undefined) return [{ path, message: 'is missing' }];
      if (!/^Invalid/.test(issue.message)) return [{ path, message: issue.message }];
      return [
        { path, message: `must be one of ${values.join(', ')}${typeof value === 'string' ? near(value, values) : ''}` },
      ];
    }
    default:
      return [{ path, message: issue.message }];
  }
}

function near(value: string, values: string[]): string {
  const text = suggestion(value, values);
  return text.startsWith('did') ? `; ${text}` : '';
}

/** Of several forms, the one that was most likely meant: that with the fewest missing, unknown and misshapen keys. */
function bestBranch(issue: Extract<Issue, { code: 'invalid_union' }>, value: unknown): Issue[] {
  const branches = issue.errors.map((issues) => ({
    issues,
    cost: issues.reduce((sum, one) => sum + cost(one, value), 0),
  }));
  const best = branches.sort((a, b) => a.cost - b.cost)[0];
  if (best && best.cost < WRONG_FORM) return best.issues;
  return [{ code: 'custom', path: [], message: issue.message, input: value }];
}

const WRONG_FORM = 1000;

function cost(issue: Issue, value: unknown): number {
  if (issue.code === 'unrecognized_keys') {
    // Not one key of this form is there: another form was meant, or none.
    const strange = issue.path.length === 0 && issue.keys.length === Object.keys(value as object).length;
    return strange ? WRONG_FORM : 10 * issue.keys.length;
  }
  if (issue.path.length === 0 && issue.code !== 'custom' && issue.code !== 'too_small') return WRONG_FORM;
  return valueAt(value, issue.path as Path) === undefined ? 10 : 1;
}

const KINDS: Record<string, string> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
};

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  return KINDS[typeof value] ?? typeof value;
}

export function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (v, part) => (typeof v === 'object' && v !== null ? (v as Record<PropertyKey, unknown>)[part] : undefined),
    value,
  );
}

/** The keys that may stand at a path, of every form that is possible there; of its own kind alone, where `raw` has one. */
export function knownKeys(json: Json, path: Path, raw?: unknown): string[] {
  const nodes = path.reduce<Json[]>(
    (all, part, i) => all.flatMap((node) => step(node, part, valueAt(raw, path.slice(0, i + 1)))),
    forms(json),
  );
  return [...new Set(nodes.flatMap((node) => Object.keys(node.properties ?? {})))];
}

function step(node: Json, part: string | number, value: unknown): Json[] {
  const next = typeof part === 'number' ? node.items : (node.properties?.[part] ?? node.additionalProperties);
  return typeof next === 'object' && !Array.isArray(next) ? formsFor(next as Json, value) : [];
}
