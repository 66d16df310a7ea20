/** Which ways of using a machine are compared. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { layoutsFor } from '../../src/bench/layouts.js';

const names = (cores: number, cards: number, layers: number) =>
  layoutsFor({ cores, cards, layers }).map(({ name }) => name);

test('two cores', () => {
  assert.deepEqual(names(2, 0, 12), [
    'whole model, 2 threads',
    'whole model, 2 workers of 1 thread',
    'split, 2 stages of 1 thread',
  ]);
});

test('a card and four cores', () => {
  assert.deepEqual(names(4, 1, 12), [
    'whole model, gpu',
    'whole model, 4 threads',
    'whole model, 4 workers of 1 thread',
    'split, gpu + 3 threads',
    'split, gpu + 3 workers of 1 thread',
    'split, 2 stages of 2 threads',
    'split, 2 stages of 2 workers',
    'split, 4 stages of 1 thread',
  ]);
});

test('a model of one layer, or a machine of one core, is not split', () => {
  assert.ok(names(8, 0, 1).every((name) => name.startsWith('whole')));
  assert.deepEqual(names(1, 0, 12), ['whole model, 1 thread']);
});

test('on any machine no layout has more busy threads than cores, nor more stages than layers, and names differ', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 64 }),
      fc.integer({ min: 0, max: 2 }),
      fc.integer({ min: 1, max: 9 }),
      (cores, cards, layers) => {
        const layouts = layoutsFor({ cores, cards, layers });
        for (const { stages } of layouts) {
          const busy = stages.reduce((sum, { threads = 1, workers = 1 }) => sum + threads * workers, 0);
          assert.ok(busy <= Math.max(cores, stages.length), JSON.stringify(stages));
          assert.ok(stages.length <= Math.max(1, layers));
        }
        assert.equal(new Set(layouts.map(({ name }) => name)).size, layouts.length);
      },
    ),
  );
});
