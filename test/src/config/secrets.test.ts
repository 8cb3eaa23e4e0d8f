import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { resolveSecret } from '../../../src/config/secrets.js';
import { failure, isFailure } from '../../../src/core/failures.js';

const SECRET = 'correct horse battery';
let dir: string;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'holdfast-secrets-'));
});
after(() => rm(dir, { recursive: true, force: true }));

async function secretFile(text: string, mode = 0o600): Promise<string> {
  const file = join(dir, 'key');
  await writeFile(file, text);
  await chmod(file, mode);
  return file;
}

async function refusal(promise: Promise<string>): Promise<string> {
  const error = await promise.then(
    () => assert.fail('resolved'),
    (error: unknown) => error,
  );
  assert.ok(isFailure(error, 'SecretUnavailable'));
  assert.doesNotMatch(JSON.stringify([error.message, error.details, error.cause]), new RegExp(SECRET));
  return error.message;
}

describe('resolveSecret', () => {
  it('reads a file, without the newline that an editor added, and no more than that', async () => {
    assert.equal(await resolveSecret({ file: await secretFile(`${SECRET}\n`) }), SECRET);
    assert.equal(await resolveSecret({ file: await secretFile(` ${SECRET} \n\n`) }), ` ${SECRET} \n`);
  });

  it('refuses a file that others can read', async () => {
    const file = await secretFile(SECRET, 0o640);
    assert.equal(
      await refusal(resolveSecret({ file })),
      `secrets on local: the secret file ${file} can be read by others; chmod 600 ${file}`,
    );
  });

  it('refuses what is not there, is empty or is no file', async () => {
    assert.match(await refusal(resolveSecret({ file: join(dir, 'none') })), /none is not there; create it, mode 0600$/);
    assert.match(await refusal(resolveSecret({ file: await secretFile('\n') })), /is empty; write the secret into it$/);
    assert.match(await refusal(resolveSecret({ file: dir })), /is no file; name a file$/);
  });

  it('reads a variable', async () => {
    assert.equal(await resolveSecret({ env: 'KEY' }, { env: { KEY: SECRET } }), SECRET);
    assert.match(
      await refusal(resolveSecret({ env: 'KEY' }, { env: {} })),
      /variable KEY is not set; set it for the worker/,
    );
  });

  it('runs a command through the runner that it is given', async () => {
    const calls: unknown[] = [];
    const run = async (program: string, args: readonly string[]) => {
      calls.push([program, ...args]);
      return { stdout: `${SECRET}\n` };
    };
    assert.equal(await resolveSecret({ command: ['pass', 'show', 'restic'] }, { run }), SECRET);
    assert.deepEqual(calls, [['pass', 'show', 'restic']]);
  });

  it('says nothing of what a failing command printed', async () => {
    const run = async () => {
      throw failure('ToolFailed', { step: 'x', host: 'y', what: SECRET, details: { stderrTail: SECRET } });
    };
    assert.match(
      await refusal(resolveSecret({ command: ['/usr/bin/pass', SECRET] }, { run })),
      /the command pass gives no secret \(ToolFailed\); run it by hand/,
    );
    assert.match(await refusal(resolveSecret({ command: ['pass'] })), /no command can run here/);
  });

  it('fails in the words of the step that asks', async () => {
    const fail = (type: Parameters<typeof failure>[0], what: string) =>
      failure(type, { step: 'store', host: 'web1', what });
    assert.match(await refusal(resolveSecret({ env: 'KEY' }, { env: {}, fail })), /^store on web1: the variable KEY/);
  });
});
