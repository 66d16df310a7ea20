/** Typing errors and the names they were meant to be. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearestName } from '../src/nearest-name.js';

test('a typing error finds its name', () => {
  assert.equal(nearestName('imge', ['image', 'mask']), 'image');
  assert.equal(nearestName('Input_IDs', ['attention_mask', 'input_ids']), 'input_ids');
  assert.equal(nearestName('atention_msk', ['attention_mask', 'input_ids']), 'attention_mask');
});

test('what is far from every name finds none', () => {
  assert.equal(nearestName('zebra', ['image', 'mask']), null);
  assert.equal(nearestName('ab', ['x', 'y']), null);
  assert.equal(nearestName('x'.repeat(100_000), ['image']), null);
});
