/** What glibc's allocator is told for a stage that runs TensorFlow. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allocatorEnvironment } from '../../../src/engine/tfjs/allocator.js';
import { tfjsEngine } from '../../../src/engine/tfjs/engine.js';

test('memory is kept, and what the user has set stays', () => {
  const { MALLOC_TRIM_THRESHOLD_: trim, ...rest } = allocatorEnvironment({});
  assert.ok(Number(trim) >= 2 ** 30);
  assert.equal(rest.MALLOC_MMAP_MAX_, '0', 'large blocks too');
  assert.equal(allocatorEnvironment({ MALLOC_TRIM_THRESHOLD_: '7' }).MALLOC_TRIM_THRESHOLD_, '7');
});

test('a stage of tfjs is started with it', () => {
  const environment = tfjsEngine.environment(1, { kind: 'cpu', index: 0 });
  for (const [name, value] of Object.entries(allocatorEnvironment())) assert.equal(environment[name], value);
});
