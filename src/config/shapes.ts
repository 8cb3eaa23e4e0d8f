import type { z } from 'zod';

export type Json = z.core.JSONSchema.JSONSchema;

/** A schema, or the alternatives of a union. */
export function forms(node: Json): Json[] {
  const inner = node.anyOf ?? node.oneOf;
  return inner ? (inner as Json[]).flatMap(forms) : [node];
}

/** The forms that a value may have meant: those of its own `kind`, where they are told apart by one. */
export function formsFor(node: Json, value: unknown): Json[] {
  const all = forms(node);
  const { kind } = (typeof value === 'object' && value !== null ? value : {}) as { kind?: unknown };
  const own = all.filter(
    ({ properties }) => kind !== undefined && (properties?.kind as Json | undefined)?.const === kind,
  );
  return own.length > 0 ? own : all;
}

export const keysOf = (node: Json) => forms(node).flatMap((form) => Object.keys(form.properties ?? {}));
export const isSecret = (node: Json) => keysOf(node).join() === 'file,env,command';
export const isCommand = (node: Json) => keysOf(node).join() === 'argv,cwd,env,timeout';
