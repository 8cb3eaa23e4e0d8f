import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { nearest, suggestion } from '../../../src/core/near.js';

const KEYS = ['root', 'repositories', 'service', 'services', 'schedule', 'restoreTest'];

describe('nearest', () => {
  it('finds the key that was meant', () => {
    const meant = {
      rot: 'root',
      Root: 'root',
      restoretest: 'restoreTest',
      'restore-test': 'restoreTest',
      repositores: 'repositories',
      shcedule: 'schedule',
    };
    for (const [word, key] of Object.entries(meant)) assert.equal(nearest(word, KEYS), key);
    assert.equal(nearest('bananas', KEYS), undefined);
  });

  it('never throws, knows each key from itself, and names none that is not there', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.array(fc.string({ unit: 'binary' })), (word, known) => {
        const found = nearest(word, known);
        if (found !== undefined) assert.ok(known.includes(found));
        assert.equal(typeof suggestion(word, known), 'string');
      }),
    );
    for (const key of KEYS) assert.equal(nearest(key, KEYS), key);
  });
});
