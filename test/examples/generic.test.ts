import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { databases } from '../../activities/databases/index.js';
import { newestProgram } from '../../activities/tools/postgres.js';
import { gatherFacts } from '../../src/config/facts.js';
import { loadConfig } from '../../src/config/load.js';
import { derivePlan } from '../../src/config/plan.js';
import { testContext } from '../support/context.js';
import { temporary } from '../support/videocms-site.js';

const SAMPLE = fileURLToPath(new URL('../../examples/generic/', import.meta.url));
const skip = newestProgram('initdb') ? false : 'PostgreSQL is not installed';

/** The sample, with a server of the test's own. */
const dir = realpathSync(temporary());
const data = `/tmp/hf-example-${process.pid}`;
const script = join(dir, 'site.sh');
after(() => {
  if (existsSync(data)) execFileSync(script, ['stop']);
  rmSync(data, { recursive: true, force: true });
});

test('the sample of a generic site: made by its script, and dumped as its config says', { skip }, async () => {
  for (const name of ['site.sh', 'holdfast.yaml', 'wiki.mjs']) {
    const text = readFileSync(join(SAMPLE, name), 'utf8').replaceAll('/tmp/holdfast-example', data);
    writeFileSync(join(dir, name), text);
    chmodSync(join(dir, name), 0o755);
  }
  const said = execFileSync(script, ['start'], { encoding: 'utf8' });
  assert.equal(said, 'site/ is ready, and the database wiki with 200 pages\n');
  const config = await loadConfig(join(dir, 'holdfast.yaml'), { look: 'all' });
  const { root } = config.sites.wiki!;
  const plan = derivePlan(config, 'wiki', await gatherFacts(root, []), { host: 'local' });
  assert.deepEqual(plan.uncovered, []);
  const [spec] = plan.databases;
  const { fingerprint } = await databases[spec!.kind].dump(spec!, temporary(), undefined, await testContext());
  assert.deepEqual(fingerprint.tables, { 'public.pages': 200 });
});
