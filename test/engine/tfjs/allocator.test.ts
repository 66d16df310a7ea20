/** What glibc's allocator is told for a stage that runs TensorFlow. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENGINES } from '../../../src/engine/registry.js';
import { allocatorEnvironment } from '../../../src/engine/tfjs/allocator.js';

test('memory is kept, and what the user has set stays', () => {
  const { MALLOC_TRIM_THRESHOLD_: trim, ...rest } = allocatorEnvironment({});
  assert.ok(Number(trim) >= 2 ** 30);
  // Some versions of glibc ignore a larger one, and then map every block of 128 KiB by itself.
  assert.ok(Number(rest.MALLOC_MMAP_THRESHOLD_) <= 32 * 2 ** 20);
  assert.equal(allocatorEnvironment({ MALLOC_TRIM_THRESHOLD_: '7' }).MALLOC_TRIM_THRESHOLD_, '7');
});

test('a stage of tfjs is started with it', () => {
  const environment = ENGINES.tfjs.environment(1, { kind: 'cpu', index: 0 });
  for (const [name, value] of Object.entries(allocatorEnvironment())) assert.equal(environment[name], value);
});
