import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PartlyConfig } from '../../../src/config/partly.js';
import { secretsInTexts } from '../../../src/config/plain-secrets.js';

const found = (config: object) => secretsInTexts(config as PartlyConfig).map(({ path }) => path.join('.'));

const argument = (text: string) => found({ sites: { a: { hooks: { before: ['/bin/x', text] } } } });
const variable = (name: string) => found({ sites: { a: { hooks: { before: { env: { [name]: 'value' } } } } } });
const location = (text: string) => found({ repositories: { a: { location: text } } });

test('a secret in an argument is refused, the name of its file is not', () => {
  for (const text of [
    '--password=hunter2',
    '-token=x1',
    '--s3-secret-key=abc',
    'Authorization: Bearer abc',
    'Authorization: abc',
  ])
    assert.deepEqual(argument(text), ['sites.a.hooks.before.1'], text);
  for (const text of [
    '--password=/run/key',
    '--password-file=key',
    '--token=$TOKEN',
    '--token=@file',
    '--passphrase=env:PASSPHRASE',
    'Authorization: Bearer $TOKEN',
    '--keep=3',
    'token',
  ])
    assert.deepEqual(argument(text), [], text);
});

test('a variable that is called after a secret must be a reference', () => {
  for (const name of ['DB_PASS', 'PASS', 'MYSQL_PWD', 'PGPASSWORD', 'API_TOKEN', 'S3_KEY'])
    assert.deepEqual(variable(name), [`sites.a.hooks.before.env.${name}`], name);
  const others = [
    'PWD',
    'BYPASS',
    'KEYBOARD',
    'MODE',
    'DB_PASS_FILE',
    'POSTGRES_PASSWORD_FILE',
    'RESTIC_PASSWORD_COMMAND',
  ];
  for (const name of others) assert.deepEqual(variable(name), [], name);
});

test('a remote that is described in a location has no key in it', () => {
  for (const text of ['rclone::s3,access_key_id=me,secret_access_key=x:bucket', 'rclone:crypt,password=x:dir'])
    assert.deepEqual(location(text), ['repositories.a.location'], text);
  for (const text of ['rclone:drive:secret/dir', 'rclone::drive,service_account_file=/etc/key.json:dir', '/srv/pass=1'])
    assert.deepEqual(location(text), [], text);
});
