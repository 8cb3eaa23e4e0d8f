import { z } from 'zod';
import { apps } from '../apps/index.js';
import { ConfigFile } from './schema.js';
import { forms, isCommand, isSecret, type Json, keysOf } from './shapes.js';

/** The JSON Schema of holdfast.yaml, for editors: unknown keys are errors there as here, and each app's options are known. */
export function configJsonSchema(): Json {
  const schema = z.toJSONSchema(ConfigFile, { target: 'draft-7', io: 'input' });
  const sites = schema.properties?.sites as Json;
  const site = sites.additionalProperties as Json;
  const app = site.properties?.app as Json;
  app.enum = Object.keys(apps);
  site.allOf = Object.values(apps).map(({ name, options }) => {
    const { $schema: _, ...inner } = z.toJSONSchema(options, { target: 'draft-7', io: 'input' });
    return {
      if: { properties: { app: { const: name } }, required: ['app'] },
      // biome-ignore lint/suspicious/noThenProperty: JSON Schema's own word
      then: { properties: { options: inner } },
    } as Json;
  });
  return { title: 'holdfast.yaml', ...schema };
}

/** docs/configuration.md: every key with what it says of itself. */
export function configReference(): string {
  const schema = z.toJSONSchema(ConfigFile, { io: 'input' });
  const lines = [
    '# holdfast.yaml',
    '',
    'Every key, as `holdfast config schema --markdown` prints it. Looked for as `--config FILE`, `./holdfast.yaml`, then',
    '`/etc/holdfast/holdfast.yaml`. Relative paths start at the directory of the file; those of services, hooks and health',
    "checks at the site's root. An unknown key is an error, and `holdfast config validate` names all mistakes at once.",
    '',
    'Secrets never stand in the file. They are `{ file: /etc/holdfast/key }` (mode 0600), `{ env: NAME }` of the worker, or',
    '`{ command: [pass, show, restic] }`, wherever "a secret" stands below.',
    '',
    'A command is `[program, argument…]` or `{ argv, cwd, env, timeout }`; no shell reads it.',
    '',
  ];
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    lines.push(`## ${name}`, '', ...keyLines(property as Json, schema.required?.includes(name) ?? false));
    const rows = rowsOf(property as Json, '');
    if (rows.length > 0) lines.push('| key | value | meaning |', '|---|---|---|', ...rows, '');
  }
  lines.push('## Options of each application', '');
  for (const { name, about, options } of Object.values(apps)) {
    const rows = rowsOf(z.toJSONSchema(options, { io: 'input', unrepresentable: 'any' }), '');
    lines.push(`### ${name}`, '', about, '', '| key | value | meaning |', '|---|---|---|', ...rows, '');
  }
  return `${lines.join('\n').trimEnd()}\n`;
}

/** Forms that are told apart by `kind`: each key once, with the kinds that have it. */
function rowsOfKinds(kinds: Json[], prefix: string): string[] {
  const heads = kinds.map(({ properties = {} }) => properties.kind as Json);
  const names = heads.map((head) => `\`${String(head.const)}\``);
  const rows = new Map<string, string[]>();
  kinds.forEach((form, i) => {
    const { kind: _, ...properties } = form.properties ?? {};
    for (const row of rowsOf({ ...form, properties }, prefix))
      rows.set(row, [...(rows.get(row) ?? []), names[i] ?? '']);
  });
  const about = heads.map((head, i) => `${names[i]}: ${head.description ?? ''}`);
  return [
    `| \`${join(prefix, 'kind')}\` | ${names.join(', ')} | ${cell(about.join(' '))} Required. |`,
    ...[...rows].map(([row, of]) => (of.length === kinds.length ? row : row.replace(/ \|$/, ` (${of.join(', ')}) |`))),
  ];
}

function keyLines(node: Json, required: boolean): string[] {
  return [`${node.description ?? ''}${required ? ' Required.' : ''} Example: \`${example(node)}\``, ''];
}

/** One row for each key below a node; a name that the owner chooses is written `<name>`. */
function rowsOf(node: Json, prefix: string): string[] {
  if (node.oneOf) return rowsOfKinds(forms(node), prefix);
  const seen = new Set<string>();
  return forms(node).flatMap((form) => {
    if (form.items && typeof form.items === 'object' && !Array.isArray(form.items))
      return rowsOf(form.items as Json, `${prefix}[]`);
    const named = form.additionalProperties;
    const inner =
      typeof named === 'object' && !isLeaf(named as Json) ? rowsOf(named as Json, join(prefix, '<name>')) : [];
    const own = Object.entries(form.properties ?? {}).flatMap(([key, value]) => {
      if (seen.has(key)) return [];
      seen.add(key);
      const at = join(prefix, key);
      const child = value as Json;
      const must = form.required?.includes(key) && forms(node).length === 1 ? ' Required.' : '';
      const shown = child.default === undefined ? exampleText(child) : ` Default: \`${cell(inline(child.default))}\``;
      const row = `| \`${at}\` | ${kind(child)} | ${cell(child.description ?? '')}${must}${shown} |`;
      return [row, ...(isLeaf(child) || (isKeep(child) && prefix !== '') ? [] : rowsOf(child, at))];
    });
    return [...inner, ...own];
  });
}

const join = (prefix: string, key: string) => (prefix ? `${prefix}.${key}` : key);
const cell = (text: string) => text.replaceAll('|', '\\|');

function example(node: Json): string {
  const [first] = (node.examples ?? []) as unknown[];
  return first === undefined ? '' : inline(first);
}

function exampleText(node: Json): string {
  const text = example(node);
  return text ? ` Example: \`${cell(text)}\`` : '';
}

/** YAML as people write it on one line. */
function inline(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inline).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const pairs = Object.entries(value).map(([k, v]) => `${k}: ${inline(v)}`);
    return pairs.length > 0 ? `{ ${pairs.join(', ')} }` : '{}';
  }
  const text = String(value);
  return typeof value === 'string' && /^[*&!-]|: | #|^$|^https?:|[,{}[\]]/.test(text) ? JSON.stringify(text) : text;
}

/** Secrets, commands and health checks are explained once, not at each key that takes one. */
function isLeaf(node: Json): boolean {
  return isSecret(node) || isCommand(node) || isServices(node);
}

const isKeep = (node: Json) => keysOf(node).join() === 'last,hourly,daily,weekly,monthly,yearly';
const isServices = (node: Json) => forms(node).some((form) => keysOf((form.items ?? {}) as Json).includes('systemd'));

function kind(node: Json): string {
  if (isSecret(node)) return 'a secret';
  if (isKeep(node)) return 'counts';
  if (isServices(node)) return 'list of what `service` takes';
  if (isCommand(node)) return 'a command';
  if (node.enum) return node.enum.map((value) => `\`${String(value)}\``).join(', ');
  if (node.const !== undefined) return `\`${String(node.const)}\``;
  const kinds = forms(node).map((form) =>
    form.const !== undefined ? `\`${String(form.const)}\`` : (KINDS[String(form.type)] ?? ''),
  );
  return [...new Set(kinds)].filter(Boolean).join(' or ');
}

const KINDS: Record<string, string> = {
  string: 'text',
  number: 'number',
  integer: 'number',
  boolean: '`true`, `false`',
  object: 'keys',
  array: 'list',
};
