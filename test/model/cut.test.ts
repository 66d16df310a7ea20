/** Cuts: what lives across them and how many bytes, by the plain definition, on any graph. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TandemError } from '../../src/errors.js';
import { checkCuts, isLegalCut, legalCuts, liveBytes, liveTensors } from '../../src/model/cut.js';
import { type ModelGraph, type TensorFacts, weightBytes } from '../../src/model/graph.js';
import { graphs } from '../fixtures/random-graph.js';

/** Made or fed before op k, and read at or after it or returned. */
function livesAcross(graph: ModelGraph, name: string, k: number): boolean {
  const before = [...graph.inputs.map((input) => input.name), ...graph.ops.slice(0, k).flatMap((op) => op.outputs)];
  const after = [...graph.ops.slice(k).flatMap((op) => op.inputs), ...graph.outputs];
  return before.includes(name) && after.includes(name);
}

const tensors = (graph: ModelGraph) => [
  ...graph.inputs.map(({ name }) => name),
  ...graph.ops.flatMap((op) => op.outputs),
];

test('live across a cut is what exists before it and is wanted behind it, in order of birth', () => {
  fc.assert(
    fc.property(graphs, fc.nat(12), (graph, at) => {
      const k = Math.min(at, graph.ops.length);
      assert.deepEqual(
        liveTensors(graph, k),
        tensors(graph).filter((name) => livesAcross(graph, name, k)),
      );
    }),
  );
});

test('live bytes are those of the live tensors for so many rows, or null where one has no known size', () => {
  const shapes = fc.array(fc.constantFrom([null, 3], [5], [], [null], [2, null], [null, 2, null]), {
    minLength: 1,
    maxLength: 8,
  });
  fc.assert(
    fc.property(graphs, shapes, fc.integer({ min: 1, max: 9 }), (graph, drawn, rows) => {
      const names = tensors(graph);
      const facts: TensorFacts = new Map(
        names.flatMap((name, n) =>
          n % 5 === 4 ? [] : [[name, { dtype: n % 2 ? 'float32' : 'bool', shape: drawn[n % drawn.length]! }] as const],
        ),
      );
      const bytesOf = (name: string) => {
        const fact = facts.get(name);
        if (!fact || fact.shape.filter((dim) => dim === null).length > 1) return null;
        return fact.shape.reduce<number>((product, dim) => product * (dim ?? rows), fact.dtype === 'float32' ? 4 : 1);
      };
      for (const [k, bytes] of liveBytes(graph, facts, rows).entries()) {
        const sizes = liveTensors(graph, k).map(bytesOf);
        assert.equal(bytes, sizes.includes(null) ? null : sizes.reduce<number>((sum, size) => sum + size!, 0));
      }
    }),
  );
});

test('legal cuts are inside the model and not forbidden', () => {
  fc.assert(
    fc.property(graphs, (graph) => {
      const inside = graph.ops.map(({ index }) => index).slice(1);
      assert.deepEqual(
        legalCuts(graph),
        inside.filter((k) => !graph.forbiddenCuts.has(k)),
      );
      for (const k of [-1, 0, graph.ops.length, graph.ops.length + 1, 0.5, Number.NaN])
        assert.ok(!isLegalCut(graph, k));
    }),
  );
});

test('cuts that are forbidden, outside, twice or not in order are refused by the name of their op', () => {
  const [graph] = fc.sample(
    graphs.filter(({ ops }) => ops.length >= 6),
    { numRuns: 1, seed: 3 },
  ) as [ModelGraph];
  const open = { ...graph, forbiddenCuts: new Set([3]) };
  assert.doesNotThrow(() => checkCuts(open, []));
  assert.doesNotThrow(() => checkCuts(open, [1, 2, 5]));
  const wrong: [number[], RegExp][] = [
    [[3], /before op 3 \(op3\)/],
    [[0], /before op 0 \(op0\)/],
    [[graph.ops.length], /\(none\)/],
    [[2, 2], /before op 2/],
    [[4, 2], /before op 2/],
    [[1.5], /before op 1\.5/],
  ];
  for (const [cuts, message] of wrong) {
    assert.throws(
      () => checkCuts(open, cuts),
      (error) => error instanceof TandemError && error.code === 'TANDEM_CUT_ILLEGAL' && message.test(error.message),
    );
  }
});

test('a weight that two ops share counts once', () => {
  fc.assert(
    fc.property(graphs, (graph) => {
      const names = new Set(graph.ops.flatMap((op) => op.weights));
      const bytes = [...names].reduce((sum, name) => sum + graph.weights.get(name)!.bytes, 0);
      assert.equal(weightBytes(graph, 0, graph.ops.length), bytes);
    }),
  );
});
