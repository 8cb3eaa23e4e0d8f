import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatMistake, parseConfig } from '../../../src/config/load.js';
import { configJsonSchema } from '../../../src/config/reference.js';

/** The example of each key, as the docs show it, put together to one config. */
function examples(node: Record<string, unknown>): Record<string, unknown> {
  const properties = node.properties as Record<string, { examples?: unknown[] }>;
  return Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, value.examples?.[0]]));
}

describe('the schema', () => {
  it('takes every example that the docs show', async () => {
    const schema = configJsonSchema() as { properties: Record<string, Record<string, unknown>> };
    const site = examples(schema.properties.sites?.additionalProperties as Record<string, unknown>);
    const { service: _, ...several } = site;
    const { services: __, ...one } = site;
    const repository = examples(schema.properties.repositories?.additionalProperties as Record<string, unknown>);
    // Keys of other engines.
    const { recipients: ___, identity: ____, host: _____, ssh: ______, ...restic } = repository;
    const config = {
      ...examples(schema),
      repositories: { nas: restic, offsite: { ...restic, location: 's3:https://s3.example.com/b' } },
      sites: { cms: { ...one, id: 'a' }, files: { ...several, id: 'b', root: '/srv/files' } },
    };
    const { mistakes } = await parseConfig(JSON.stringify(config), '/etc/holdfast/holdfast.yaml');
    assert.deepEqual(mistakes.map(formatMistake), []);
  });

  it('names mistakes in whatever it is given, and never throws', async () => {
    await fc.assert(
      fc.asyncProperty(fc.json({ maxDepth: 5 }), async (text) => {
        assert.ok((await parseConfig(text, '/x/holdfast.yaml')).mistakes.length > 0);
      }),
      { numRuns: 200 },
    );
    const key = fc.constantFrom(
      'app',
      'root',
      'service',
      'services',
      'repositories',
      'hooks',
      'schedule',
      'health',
      'restoreTest',
      'x',
    );
    const value = fc.oneof(
      fc.string(),
      fc.constantFrom('generic', 'none', '/srv', [], ['a'], {}, { argv: 1 }, { compose: 1 }, { command: {} }),
      fc.anything({ withNullPrototype: false }),
    );
    await fc.assert(
      fc.asyncProperty(fc.dictionary(key, value), async (site) => {
        const text = JSON.stringify({ version: 1, repositories: { nas: site }, sites: { cms: site } });
        const { mistakes } = await parseConfig(text, '/x/holdfast.yaml', { look: 'trust' });
        assert.ok(mistakes.length > 0);
      }),
      { numRuns: 200 },
    );
  });
});
