import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { apps } from '../../../src/apps/index.js';
import { configJsonSchema, configReference } from '../../../src/config/reference.js';

type Node = Record<string, unknown>;

/** Every mapping of the schema that names its keys. */
function* mappings(node: unknown, path = ''): Generator<[string, Node]> {
  if (Array.isArray(node)) for (const [i, each] of node.entries()) yield* mappings(each, `${path}[${i}]`);
  else if (typeof node === 'object' && node !== null) {
    if ((node as Node).type === 'object' && (node as Node).properties) yield [path, node as Node];
    for (const [key, value] of Object.entries(node)) if (key !== 'examples') yield* mappings(value, `${path}.${key}`);
  }
}

/** Keys that choose one form of several; what stands below them has the examples. */
const FORMS = new Set(['process', 'command', 'file', 'env']);

describe('the reference of holdfast.yaml', () => {
  it('is the one in docs; if not: npx holdfast config schema --markdown > docs/configuration.md', async () => {
    const docs = new URL('../../../docs/configuration.md', import.meta.url);
    assert.equal(await readFile(docs, 'utf8'), configReference());
  });

  it('refuses unknown keys in an editor, too', () => {
    for (const [path, node] of mappings(configJsonSchema())) assert.equal(node.additionalProperties, false, path);
  });

  it('describes every key and shows an example of it', () => {
    const schema = configJsonSchema();
    let keys = 0;
    for (const [path, node] of mappings(schema)) {
      if (path.includes('allOf')) continue;
      for (const [key, value] of Object.entries(node.properties as Record<string, Node>)) {
        keys++;
        assert.ok(value.description, `${path}.${key} has no description`);
        if (!FORMS.has(key)) assert.ok(value.examples, `${path}.${key} has no example`);
      }
    }
    assert.ok(keys > 60, `${keys} keys`);
  });

  it('knows each application and its options', () => {
    const text = JSON.stringify(configJsonSchema());
    assert.ok(text.includes(`"enum":${JSON.stringify(Object.keys(apps))}`));
    for (const app of Object.keys(apps)) assert.ok(text.includes(`"if":{"properties":{"app":{"const":"${app}"}}`), app);
    assert.match(configReference(), /\| `databases\[\]\.path` \| text \|/);
  });
});
