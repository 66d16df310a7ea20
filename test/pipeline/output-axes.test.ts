/** The rows' axis of an output: from names, from two numbers of rows, and what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModelGraph } from '../../src/model/graph.js';
import { isDoubtful, needsOtherRows, outputAxesOf } from '../../src/pipeline/output-axes.js';
import { chainGraph } from '../fixtures/chain.js';

type RowsAxis = { axis: number; how: string } | undefined;
const named = (axis: number): RowsAxis => ({ axis, how: 'its dimension "N"' });

function graphOf(rowsAxis: RowsAxis, fixedBatch: number | null = null): ModelGraph {
  return { ...chainGraph(1, 4, fixedBatch), outputRows: new Map(rowsAxis ? [['y', rowsAxis]] : []) };
}

const shapes = (shape: readonly number[] | null) => (shape ? new Map([['y', { shape }]]) : null);

/** The axis for four rows, from the shape for them and from that for one. */
function axis(graph: ModelGraph, four: readonly number[], one: readonly number[] | null): number | string {
  try {
    return outputAxesOf(graph, 4, shapes(four)!, shapes(one)).get('y')!;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

test('without names it is the only axis that changes with the rows', () => {
  const graph = graphOf(undefined);
  assert.ok(needsOtherRows(graph));
  assert.equal(axis(graph, [4, 3], [1, 3]), 0);
  assert.equal(axis(graph, [4, 4, 3], [4, 1, 3]), 1);
  assert.equal(axis(graph, [4, 3], [4, 3]), 'TANDEM_MODEL_UNSUPPORTED');
  assert.equal(axis(graph, [4, 4], [1, 1]), 'TANDEM_MODEL_UNSUPPORTED');
  assert.equal(axis(graph, [8, 3], [2, 3]), 'TANDEM_MODEL_UNSUPPORTED');
});

test('a name counts if the shape fits no other axis; a comparison has precedence', () => {
  const graph = graphOf(named(1));
  assert.ok(!needsOtherRows(graph));
  const isDoubted = (shape: readonly number[]) => isDoubtful(graph, 4, shapes(shape)!);
  assert.deepEqual(
    [
      [6, 4, 3],
      [4, 4, 3],
      [4, 6, 3],
    ].map(isDoubted),
    [false, true, true],
  );
  assert.equal(axis(graph, [6, 4, 3], null), 1);
  assert.equal(axis(graph, [4, 4, 3], [1, 4, 3]), 0);
  assert.equal(axis(graph, [4, 6, 3], [1, 6, 3]), 0);
});

test('the flag has precedence over all, and a model that fixes its rows needs no comparison', () => {
  assert.equal(axis(graphOf({ axis: 1, how: '--rows-axis' }), [4, 4], [1, 1]), 1);
  assert.equal(axis(graphOf({ axis: 1, how: '--rows-axis' }), [4, 3], [1, 3]), 'TANDEM_MODEL_UNSUPPORTED');
  const fixed = graphOf(undefined, 4);
  assert.ok(!needsOtherRows(fixed));
  assert.equal(axis(fixed, [4, 3], null), 0);
  assert.equal(axis(fixed, [6, 4], null), 1);
  assert.equal(axis(fixed, [6, 5], null), 'TANDEM_MODEL_UNSUPPORTED');
});
