import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveWhere } from '../../../src/client/connect.js';

test('the environment is read as the temporal command reads it', () => {
  assert.deepEqual(resolveWhere({}, {}), { address: '127.0.0.1:7233', namespace: 'default' });
  assert.deepEqual(resolveWhere({}, { TEMPORAL_ADDRESS: 'a:1', TEMPORAL_NAMESPACE: 'n' }), {
    address: 'a:1',
    namespace: 'n',
  });
  assert.deepEqual(resolveWhere({ address: 'b:2' }, { TEMPORAL_ADDRESS: 'a:1' }).address, 'b:2');
});

test('an API key means TLS; TLS can be asked for, shaped and refused', () => {
  assert.deepEqual(resolveWhere({}, { TEMPORAL_API_KEY: 'k' }).tls, true);
  assert.deepEqual(resolveWhere({}, { TEMPORAL_TLS: 'true' }).tls, true);
  assert.deepEqual(resolveWhere({}, { TEMPORAL_TLS: 'false', TEMPORAL_API_KEY: 'k' }).tls, false);
  const mutual = {
    TEMPORAL_TLS_CLIENT_CERT_DATA: 'c',
    TEMPORAL_TLS_CLIENT_KEY_DATA: 'k',
    TEMPORAL_TLS_SERVER_NAME: 's',
  };
  assert.deepEqual(resolveWhere({}, mutual).tls, {
    serverNameOverride: 's',
    clientCertPair: { crt: Buffer.from('c'), key: Buffer.from('k') },
  });
});

for (const [name, env, says] of [
  ['half a pair', { TEMPORAL_TLS_CLIENT_CERT_DATA: 'c' }, /come together or not at all/],
  [
    'a file that is not there',
    { TEMPORAL_TLS_SERVER_CA_CERT_PATH: '/nonexistent' },
    /SERVER_CA_CERT_PATH names a file that cannot be read/,
  ],
  ['no verification', { TEMPORAL_TLS_DISABLE_HOST_VERIFICATION: 'true' }, /cannot be had here; name the authority/],
] as const) {
  test(`${name} is refused`, () => assert.throws(() => resolveWhere({}, env), says));
}
