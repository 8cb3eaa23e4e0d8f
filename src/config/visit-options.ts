import { z } from 'zod';
import { apps } from '../apps/index.js';
import type { Path } from './findings.js';
import { formsFor, isCommand, isSecret, type Json } from './shapes.js';

type Found = (holder: object, key: string, at: Path) => void;

const schemas = new Map<string, Json>();

/** Secrets and commands among the options of a site: wherever its application's schema takes one. What is of no right form is passed over. */
export function visitOptions(
  app: string | undefined,
  options: unknown,
  path: Path,
  found: { secret: Found; command: Found },
): void {
  if (app === undefined || !Object.hasOwn(apps, app)) return;
  const schema =
    schemas.get(app) ?? (z.toJSONSchema(apps[app]!.options, { io: 'input', unrepresentable: 'any' }) as Json);
  schemas.set(app, schema);
  walk(schema, options, path, found);
}

function walk(node: Json, value: unknown, path: Path, found: { secret: Found; command: Found }): void {
  if (typeof value !== 'object' || value === null) return;
  for (const form of formsFor(node, value)) {
    for (const [key, inner] of Object.entries(value)) {
      const next = Array.isArray(value) ? form.items : (form.properties?.[key] ?? form.additionalProperties);
      if (typeof next !== 'object' || Array.isArray(next) || typeof inner !== 'object' || inner === null) continue;
      const schema = next as Json;
      if (isSecret(schema)) found.secret(value, key, path);
      else if (isCommand(schema)) found.command(value, key, path);
      else walk(schema, inner, [...path, Array.isArray(value) ? Number(key) : key], found);
    }
  }
}
