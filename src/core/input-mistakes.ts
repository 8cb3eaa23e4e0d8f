import { z } from 'zod';
import { suggestion } from './near.js';

/** What a run may be started with, said to whoever wrote no object at all. */
const EXAMPLE = 'must be an object such as {"site":"cms"}';

/** Each mistake of a workflow's input as a sentence, the field first: `site: is missing`. None where it parses. */
export function inputMistakes(schema: z.ZodType, raw: unknown): string[] {
  const { error } = schema.safeParse(raw);
  return (error?.issues ?? []).flatMap((issue) => explain(issue, schema, raw));
}

function explain(issue: z.core.$ZodIssue, schema: z.ZodType, raw: unknown): string[] {
  const field = issue.path.length > 0 ? `${issue.path.join('.')}: ` : '';
  const value = issue.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], raw);
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => `${[...issue.path, key].join('.')}: unknown key; ${meant(key, issue, schema)}`);
    case 'invalid_type':
      if (issue.path.length === 0) return [raw === undefined ? `there is none; it ${EXAMPLE}` : EXAMPLE];
      return [`${field}${value === undefined ? 'is missing' : `must be ${KINDS[issue.expected] ?? issue.expected}`}`];
    case 'invalid_value':
      return [`${field}must be one of ${issue.values.join(', ')}`];
    case 'too_small':
      if (issue.origin === 'array') return [`${field}must name at least ${issue.minimum}; leave it out for all`];
      return [`${field}must be at least ${issue.minimum}`];
    case 'too_big':
      return [`${field}must be at most ${issue.maximum}${OF[issue.origin] ?? ''}`];
    default:
      return [`${field}${issue.message}`];
  }
}

function meant(key: string, issue: z.core.$ZodIssue, schema: z.ZodType): string {
  if (issue.path.length > 0 || !(schema instanceof z.ZodObject)) return 'leave it out';
  return suggestion(key, Object.keys(schema.shape));
}

const OF: Record<string, string> = { string: ' characters', array: ' names' };

const KINDS: Record<string, string> = {
  string: 'a text',
  boolean: 'true or false',
  object: 'an object',
  array: 'a list',
};
