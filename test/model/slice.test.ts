/** Slices: they cover the model, and what one reads an earlier one has left. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TandemError } from '../../src/errors.js';
import { legalCuts, liveTensors } from '../../src/model/cut.js';
import { type Slice, sliceOf, slicesOf } from '../../src/model/slice.js';
import { graphs } from '../fixtures/random-graph.js';

const cut = graphs.chain((graph) => {
  const legal = legalCuts(graph);
  return fc.tuple(fc.constant(graph), fc.subarray(legal, { maxLength: Math.min(3, legal.length) }));
});

test('slices follow each other from the first op to the last', () => {
  fc.assert(
    fc.property(cut, ([graph, cuts]) => {
      const slices = slicesOf(graph, cuts);
      assert.equal(slices.length, cuts.length + 1);
      assert.equal(slices[0]!.from, 0);
      assert.equal(slices.at(-1)!.to, graph.ops.length);
      for (const [n, slice] of slices.slice(1).entries()) assert.equal(slice.from, slices[n]!.to);
    }),
  );
});

test('what a slice reads was fed or left by an earlier one, and in the end every output is there', () => {
  fc.assert(
    fc.property(cut, ([graph, cuts]) => {
      const slot = new Set(graph.inputs.map(({ name }) => name));
      for (const { from, to, inputs, outputs } of slicesOf(graph, cuts)) {
        for (const name of inputs) assert.ok(slot.has(name), `${name} is read before anybody left it`);
        const known = new Set(inputs);
        for (const op of graph.ops.slice(from, to)) {
          for (const name of op.inputs) assert.ok(known.has(name));
          for (const name of op.outputs) known.add(name);
        }
        for (const name of outputs) slot.add(name);
      }
      for (const name of graph.outputs) assert.ok(slot.has(name));
    }),
  );
});

test('a slice leaves what lives across its end and was not there before', () => {
  fc.assert(
    fc.property(cut, ([graph, cuts]) => {
      for (const { from, to, outputs } of slicesOf(graph, cuts)) {
        const before = new Set(liveTensors(graph, from));
        assert.deepEqual(
          outputs,
          liveTensors(graph, to).filter((name) => !before.has(name)),
        );
      }
    }),
  );
});

test('a slice is plain data', () => {
  const [graph] = fc.sample(graphs, { numRuns: 1, seed: 5 });
  const slice: Slice = sliceOf(graph!, 0, graph!.ops.length);
  assert.deepEqual(structuredClone(slice), slice);
});

test('an illegal cut makes no slices', () => {
  const [graph] = fc.sample(graphs, { numRuns: 1, seed: 5 });
  assert.throws(
    () => slicesOf(graph!, [0]),
    (error) => error instanceof TandemError && error.code === 'TANDEM_CUT_ILLEGAL',
  );
});
