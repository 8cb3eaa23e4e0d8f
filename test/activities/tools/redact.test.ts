import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createRedactor } from '../../../activities/tools/redact.js';

test('however a text is cut into pieces, no secret comes through and nothing else is lost', () => {
  const secret = fc.stringMatching(/^[abc]{4,9}$/);
  fc.assert(
    fc.property(
      fc.array(secret, { minLength: 1, maxLength: 3 }),
      fc.array(fc.oneof(fc.stringMatching(/^[abc ]{0,12}$/), secret), { maxLength: 8 }),
      (secrets, pieces) => {
        const redact = createRedactor();
        redact.add(...secrets);
        const stream = redact.stream();
        const out = pieces.map((piece) => stream.push(piece)).join('') + stream.end();
        for (const each of secrets) assert.ok(!out.includes(each), `${each} in ${out}`);
        assert.equal(out, redact.text(pieces.join('')));
      },
    ),
    { numRuns: 500 },
  );
});

test('lines of a key, forms in URLs and JSON are secrets; short words are not', () => {
  const redact = createRedactor();
  redact.add('line-one-of-key\nline-two-of-key\n', 'a b&c"d', 'abc');
  assert.equal(redact.text('x line-two-of-key'), 'x ***');
  assert.equal(redact.text('?p=a%20b%26c%22d'), '?p=***');
  assert.equal(redact.text('{"p":"a b&c\\"d"}'), '{"p":"***"}');
  assert.equal(redact.text('abc'), 'abc');
});

test('a secret in the codes and quotes of tools is a secret, wherever it begins in them', () => {
  const redact = createRedactor();
  const secret = `pass-w0rd "q'&<ä%:\\x`;
  redact.add(secret);
  const hex = Buffer.from(secret).toString('hex');
  for (const text of [
    hex,
    hex.toUpperCase(),
    encodeURIComponent(secret).replaceAll("'", '%27'),
    new URLSearchParams({ '': secret }).toString().slice(1),
    JSON.stringify(secret).replaceAll('&', '\\u0026').replaceAll('<', '\\u003c'),
    `'${secret.replaceAll("'", "'\\''")}'`,
  ])
    assert.match(redact.text(text), /^["']?\*\*\*["']?$/, text);
  for (const user of ['u', 'me', 'she', 'they']) {
    const header = Buffer.from(`${user}:${secret}`).toString('base64');
    const said = redact.text(`Authorization: Basic ${header}`);
    assert.match(said, /^Authorization: Basic \S{0,8}\*\*\*\S{0,4}$/, said);
  }
});
