/** Small ONNX models of rows that differ in length, for what padding would do to them. */
import { Graph } from '../../src/prove/models/graph.js';

/** What the model does with padding: it has no mask; it has one and computes the padding all the same; its rows depend on each other. */
export type Padding = 'unmasked' | 'ignored' | 'neighbours';

/** `input_ids`, and with 'ignored' an `attention_mask`, int64 (batch, sequence), to the mean of their embeddings `y` (batch, 8), and each `z` (batch, sequence, 8). */
export function meanOfTokens(padding: Padding, seed = 1): Graph {
  const g = new Graph('tokens', seed);
  const ids = g.input('input_ids', 'int64', ['batch', 'sequence']);
  let x = g.node('Gather', [g.weight('embed', [50, 8], 'float32', 1), ids], { name: '/embed/Gather' });
  if (padding === 'ignored') {
    const mask = g.input('attention_mask', 'int64', ['batch', 'sequence']);
    const numbers = g.node('Cast', [g.node('Unsqueeze', [mask, g.integers('axis2', [2])], { name: '/Unsqueeze' })], {
      name: '/Cast',
      to: 1,
    });
    const none = g.constant('none', { dtype: 'float32', shape: [], data: Float32Array.of(0) });
    x = g.node('Add', [x, g.node('Mul', [numbers, none], { name: '/Mul' })], { name: '/Add' });
  }
  x = g.node('Tanh', [g.node('MatMul', [x, g.weight('w', [8, 8])], { name: '/MatMul' })], { name: '/Tanh', as: 'z' });
  let mean = g.node('ReduceMean', [x, g.integers('axis1', [1])], { name: '/mean/ReduceMean', keepdims: 0 });
  if (padding === 'neighbours') {
    const all = g.node('ReduceMean', [mean, g.integers('axis0', [0])], { name: '/all/ReduceMean', keepdims: 1 });
    mean = g.node('Sub', [mean, all], { name: '/Sub' });
  }
  g.output(g.node('MatMul', [mean, g.weight('head', [8, 8])], { name: '/head/MatMul', as: 'y' }), 'float32', [
    'batch',
    8,
  ]);
  g.output(x, 'float32', ['batch', 'sequence', 8]);
  return g;
}
