import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { parse, stringify } from 'yaml';
import { formatMistake, loadConfig, readConfig } from '../../../src/config/load.js';
import { isFailure } from '../../../src/core/failures.js';
import { BAD_CONFIGS, GOOD, withText } from './bad-configs.js';

let dir: string;
let file: string;

before(async () => {
  dir = await realpath(await mkdtemp(join(tmpdir(), 'holdfast-config-')));
  file = join(dir, 'holdfast.yaml');
  await mkdir(join(dir, 'cms'));
  await mkdir(join(dir, 'wiki'));
});
after(() => rm(dir, { recursive: true, force: true }));
beforeEach(async () => {
  await writeFile(join(dir, 'key'), 'correct horse', { mode: 0o600 });
  await chmod(join(dir, 'key'), 0o600);
  await writeFile(join(dir, 'hook.sh'), '#!/bin/sh\n', { mode: 0o700 });
  await chmod(join(dir, 'hook.sh'), 0o700);
});

async function mistakesIn(text: string, look: 'all' | 'trust' | 'nothing' = 'all'): Promise<string[]> {
  await writeFile(file, text, { mode: 0o600 });
  await chmod(file, 0o600);
  const { config, mistakes } = await readConfig(file, { look });
  assert.equal(config === undefined, mistakes.length > 0);
  return mistakes.map((mistake) => formatMistake(mistake).replaceAll(dir, '…'));
}

describe('a config with a mistake', () => {
  for (const [name, text, expected] of BAD_CONFIGS)
    it(name, async () => assert.deepEqual(await mistakesIn(text), expected));

  it('a secret that others can read', async () => {
    await chmod(join(dir, 'key'), 0o640);
    assert.deepEqual(await mistakesIn(GOOD), [
      '…/holdfast.yaml:3:60 repositories.nas.password.file: the secret file …/key can be read by others; chmod 600 …/key',
    ]);
  });

  it('a command that others can change, and its script', async () => {
    await chmod(join(dir, 'hook.sh'), 0o722);
    const hooks = (argv: string) => withText('app: generic', `app: generic\n    hooks: { before: ${argv} }`);
    const script = 'can be changed by others; chmod go-w …/hook.sh';
    const place = '…/holdfast.yaml:7:14 sites.cms.hooks.before:';
    assert.deepEqual(await mistakesIn(hooks('[../hook.sh]')), [`${place} the program …/hook.sh ${script}`]);
    assert.deepEqual(await mistakesIn(hooks('[sh, ../hook.sh]'), 'trust'), [`${place} the script …/hook.sh ${script}`]);
  });

  it('a config that others can change', async () => {
    await writeFile(file, GOOD);
    await chmod(file, 0o666);
    const { mistakes } = await readConfig(file);
    assert.deepEqual(mistakes.map(formatMistake), [
      `${file}:1:1 this file can be changed by others; chmod go-w ${file}`,
    ]);
  });

  it('one directory behind two names', async () => {
    await symlink(join(dir, 'cms'), join(dir, 'alias'));
    const text = `${GOOD}  wiki:\n    app: generic\n    root: alias\n    service: none\n    repositories: [nas]\n`;
    assert.deepEqual(await mistakesIn(text), [
      '…/holdfast.yaml:12:11 sites.wiki.root: is the directory of site cms too; give each site its own',
    ]);
  });

  it('says all of them at once, in order, each once', async () => {
    const text = withText('[nas]', '[nsa]')
      .replace('version: 1', 'version: 2')
      .replace('root: cms', 'rot: cms\n    schedule: { backup: dayly }');
    assert.deepEqual(await mistakesIn(text), [
      '…/holdfast.yaml:1:10 version: must be 1',
      '…/holdfast.yaml:5:3 sites.cms.root: is missing',
      '…/holdfast.yaml:7:5 sites.cms.rot: unknown key; did you mean "root"?',
      '…/holdfast.yaml:8:25 sites.cms.schedule.backup: is no cron line; did you mean "daily"?',
      '…/holdfast.yaml:10:20 sites.cms.repositories[0]: no such repository; did you mean "nas"?',
    ]);
  });

  it('never repeats a secret', async () => {
    for (const [, text] of BAD_CONFIGS) assert.doesNotMatch((await mistakesIn(text)).join('\n'), /hunter2/);
    for (const value of [
      '|hunter2',
      '*hunter2',
      '!hunter2 x',
      '"hunter2" x',
      '{ file: hunter2',
      '\thunter2',
      '&a *hunter2',
    ]) {
      const said = await mistakesIn(withText('{ file: key }', value));
      assert.ok(said.length > 0, value);
      assert.doesNotMatch(said.join('\n'), /hunter2/, value);
    }
  });

  it('is one InvalidConfig that lists them', async () => {
    await writeFile(file, withText('[nas]', '[nsa]').replace('version: 1', 'version: 2'), { mode: 0o600 });
    await assert.rejects(loadConfig(file), (error: unknown) => {
      assert.ok(isFailure(error, 'InvalidConfig'));
      assert.equal(error.nonRetryable, true);
      assert.equal(
        error.message,
        'config on local: holdfast.yaml has 2 mistakes; correct the lines named here, then run `holdfast config validate`',
      );
      const [details] = error.details as [{ mistakes: string[] }];
      assert.equal(details.mistakes.length, 2);
      return true;
    });
  });

  it('names the file that is not there', async () => {
    const { mistakes } = await readConfig(join(dir, 'none.yaml'));
    assert.deepEqual(mistakes.map(formatMistake), [`${join(dir, 'none.yaml')}:1:1 there is no such file`]);
  });
});

describe('a good config', () => {
  it('has absolute paths: of the config from its directory, of a site from its root', async () => {
    const text = withText(
      'service: none',
      'service: { process: { pidFile: run/app.pid, start: [./app, -d] }, health: { http: "http://127.0.0.1:1/" } }\n    hooks: { before: { argv: [./app], cwd: bin } }\n    restoreTest: { scratch: scratch }',
    );
    assert.deepEqual(await mistakesIn(text, 'nothing'), []);
    const { sites, repositories } = await loadConfig(file, { look: 'nothing' });
    assert.deepEqual(repositories.nas, {
      engine: 'restic',
      location: join(dir, 'repo'),
      password: { file: join(dir, 'key') },
    });
    assert.deepEqual(sites.cms, {
      app: 'generic',
      root: join(dir, 'cms'),
      service: {
        process: { pidFile: join(dir, 'cms/run/app.pid'), start: [join(dir, 'cms/app'), '-d'] },
        health: { http: 'http://127.0.0.1:1/' },
      },
      repositories: ['nas'],
      hooks: { before: { argv: [join(dir, 'cms/bin/app')], cwd: join(dir, 'cms/bin') } },
      restoreTest: { scratch: join(dir, 'scratch') },
    });
  });

  it('passes every look, and survives being printed', async () => {
    assert.deepEqual(await mistakesIn(GOOD), []);
    assert.deepEqual(await mistakesIn(stringify(parse(GOOD))), []);
  });

  it('runs one site while the disk of another is away, and restores a site whose directory is gone', async () => {
    assert.deepEqual(await mistakesIn(withText('root: cms', 'root: gone'), 'trust'), []);
  });

  it('is not asked for the directories of another host', async () => {
    await writeFile(file, withText('root: cms', 'root: gone\n    host: web1'), { mode: 0o600 });
    assert.deepEqual((await readConfig(file, { look: 'all' })).mistakes, []);
    assert.equal((await readConfig(file, { look: 'all', host: 'web1' })).mistakes.length, 1);
  });

  it('may use anchors and merges', async () => {
    const text = `${GOOD.replace('  cms:', '  cms: &site')}  wiki:\n    <<: *site\n    root: wiki\n`;
    assert.deepEqual(await mistakesIn(text), []);
  });
});
