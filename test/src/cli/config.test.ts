import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parse } from 'yaml';
import { register as completion } from '../../../src/cli/completion.js';
import { register } from '../../../src/cli/config.js';
import { runCommand } from '../../support/config-cli.js';

const TEXT = `version: 1
repositories:
  nas: { engine: archive, location: repo }
  other: { engine: archive, location: other }
sites:
  cms: { app: generic, root: cms, service: none, repositories: [nas] }
  wiki: { app: generic, root: wiki, service: none, repositories: [other] }
`;
let dir: string;
let place: { cwd: string; env: Record<string, string> };
before(async () => {
  dir = await realpath(await mkdtemp(join(tmpdir(), 'holdfast-cli-config-')));
  place = { cwd: dir, env: {} };
  await mkdir(join(dir, 'cms'));
  await mkdir(join(dir, 'wiki'));
  await writeFile(join(dir, 'holdfast.yaml'), TEXT);
  await chmod(join(dir, 'holdfast.yaml'), 0o600);
  await writeFile(join(dir, 'bad.yaml'), TEXT.replace('root: wiki', 'rot: wiki').replace('[other]', '[othr]'));
  await chmod(join(dir, 'bad.yaml'), 0o600);
});
after(() => rm(dir, { recursive: true, force: true }));

describe('holdfast config', () => {
  it('validate says that all is right', async () => {
    const { code, out } = await runCommand(register, ['config', 'validate'], place);
    assert.equal(out, `${dir}/holdfast.yaml is right: 2 sites, 2 repositories\n`);
    assert.equal(code, 0);
  });

  it('validate lists every mistake, as text and as JSON, and ends with 2', async () => {
    const { code, out } = await runCommand(register, ['config', 'validate', '-c', 'bad.yaml'], place);
    assert.equal(code, 2);
    assert.equal(
      out,
      [
        `${dir}/bad.yaml:7:3 sites.wiki.root: is missing`,
        `${dir}/bad.yaml:7:25 sites.wiki.rot: unknown key; did you mean "root"?`,
        `${dir}/bad.yaml:7:66 sites.wiki.repositories[0]: no such repository; did you mean "other"?`,
        '3 mistakes',
        '',
      ].join('\n'),
    );
    const json = await runCommand(register, ['config', 'validate', '-c', 'bad.yaml', '--json'], place);
    const { schemaVersion, valid, mistakes } = JSON.parse(json.out);
    assert.deepEqual([schemaVersion, valid, mistakes.length, json.code], [1, false, 3, 2]);
    assert.deepEqual(mistakes[1], {
      file: join(dir, 'bad.yaml'),
      line: 7,
      column: 25,
      key: 'sites.wiki.rot',
      message: 'unknown key; did you mean "root"?',
    });
  });

  it('validate --no-machine reads a config of another machine', async () => {
    await writeFile(join(dir, 'far.yaml'), TEXT.replace('root: cms', 'root: /srv/nowhere'), { mode: 0o600 });
    assert.equal((await runCommand(register, ['config', 'validate', '-c', 'far.yaml'], place)).code, 2);
    assert.equal((await runCommand(register, ['config', 'validate', '-c', 'far.yaml', '--no-machine'], place)).code, 0);
  });

  it('show prints one site with what it needs, paths in full', async () => {
    const { out } = await runCommand(register, ['config', 'show', 'cms'], place);
    assert.deepEqual(parse(out), {
      version: 1,
      repositories: { nas: { engine: 'archive', location: join(dir, 'repo') } },
      sites: { cms: { app: 'generic', root: join(dir, 'cms'), service: 'none', repositories: ['nas'] } },
    });
    assert.deepEqual(Object.keys(parse((await runCommand(register, ['config', 'show'], place)).out).sites), [
      'cms',
      'wiki',
    ]);
  });

  it('show names the sites that there are', async () => {
    const { code, err } = await runCommand(register, ['config', 'show', 'csm'], place);
    assert.equal(err, 'holdfast: there is no site "csm"; known: cms, wiki\n');
    assert.equal(code, 2);
  });

  it('schema prints the schema alone', async () => {
    const { out } = await runCommand(register, ['config', 'schema'], place);
    assert.equal(JSON.parse(out).$schema, 'http://json-schema.org/draft-07/schema#');
    assert.match((await runCommand(register, ['config', 'schema', '--markdown'], place)).out, /^# holdfast\.yaml\n/);
  });
});

describe('holdfast completion', () => {
  const all = (...args: Parameters<typeof register>) => {
    register(...args);
    completion(...args);
  };

  it('knows commands, subcommands and options, in each shell', async () => {
    const bash = await runCommand(all, ['completion', 'bash'], place);
    assert.match(bash.out, /'config'\) words='validate show schema'/);
    assert.match(bash.out, /'config schema'\) words='--config --json --markdown'/);
    assert.match((await runCommand(all, ['completion', 'zsh'], place)).out, /^autoload -U \+X bashcompinit/);
    assert.match((await runCommand(all, ['completion', 'fish'], place)).out, /-a validate -d/);
  });

  it('names the sites of the config', async () => {
    assert.equal((await runCommand(all, ['completion', '--sites'], place)).out, 'cms\nwiki\n');
  });

  it('is a script that bash completes with', async (t) => {
    const { spawnSync } = await import('node:child_process');
    if (spawnSync('bash', ['-c', 'type compgen']).status !== 0) return t.skip('no bash with compgen');
    const { out } = await runCommand(all, ['completion', 'bash'], place);
    const script = `${out}\nCOMP_WORDS=(holdfast config va); COMP_CWORD=2; _holdfast; echo "\${COMPREPLY[*]}"`;
    const { stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
    assert.equal(stdout.trim(), 'validate', stderr);
  });
});
