/** Continuous batching on paper: every sequence's tokens once and in order, in one slot, and two groups keep two stages busy. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { drawBatch, generateBatch } from '../../src/schedule/draw-batch.js';

const shapes = fc.record({
  slots: fc.integer({ min: 1, max: 9 }),
  groupSize: fc.integer({ min: 1, max: 9 }),
  prefills: fc.integer({ min: 1, max: 3 }),
  chunk: fc.integer({ min: 1, max: 8 }),
});
const sequences = fc.array(
  fc.record({ prompt: fc.integer({ min: 1, max: 20 }), newTokens: fc.integer({ min: 1, max: 9 }) }),
  { minLength: 1, maxLength: 20 },
);

test('each slot goes on where it was, chunks lie at multiples of their length, and all tokens are computed', () => {
  fc.assert(
    fc.property(shapes, fc.integer({ min: 1, max: 3 }), sequences, (shape, stages, all) => {
      const visits = [...generateBatch(shape, stages, all)];
      for (let stage = 0; stage < stages; stage++) {
        const lengths = new Map<number, number>();
        let tokens = 0;
        for (const visit of visits.filter((each) => each.stage === stage)) {
          for (const [row, isLive] of visit.live.entries()) {
            const slot = visit.firstSlot + row;
            if (!isLive) continue;
            const before = visit.lengths[row]!;
            assert.ok(before === 0 || before === lengths.get(slot), `slot ${slot} goes on at ${before}`);
            if (visit.kind === 'prefill') assert.equal(before % shape.chunk, 0);
            lengths.set(slot, before + visit.tokens);
            tokens += visit.tokens;
          }
        }
        assert.equal(
          tokens,
          all.reduce((sum, { prompt, newTokens }) => sum + prompt + newTokens - 1, 0),
        );
      }
      const moments = visits.map(({ stage, at }) => `${stage} ${at}`);
      assert.equal(new Set(moments).size, moments.length, 'a stage computes one visit at a time');
    }),
  );
});

test('the grid: two groups alternate in two stages, chunks of prompts go beside steps', () => {
  const shape = { slots: 4, groupSize: 2, prefills: 2, chunk: 8 };
  const grid = drawBatch(generateBatch(shape, 2, new Array(5).fill({ prompt: 8, newTokens: 4 })));
  assert.equal(
    grid,
    [
      'stage 0  a0 a1 b2  A b3  A  B  A  B a0  B  A  ·  A  ·  A  ·',
      'stage 1   · a0 a1 b2  A b3  A  B  A  B a0  B  A  ·  A  ·  A',
    ].join('\n'),
  );
});
