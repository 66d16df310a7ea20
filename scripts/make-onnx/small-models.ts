/** Small ONNX models, each for one requirement of a cut. */
import { Graph } from '../../src/prove/models/graph.js';
import type { LocalFunction } from '../../src/prove/models/model-file.js';

/** `layers` of MatMul, Add, Relu with `width` features: x (batch, width) to y (batch, width). */
export function mlp(layers = 4, width = 16, seed = 1): Graph {
  const g = new Graph('mlp', seed);
  let x = g.input('x', 'float32', ['batch', width]);
  for (let n = 0; n < layers; n++) {
    x = g.node('MatMul', [x, g.weight(`w${n}`, [width, width], 'float32', 2 / Math.sqrt(width))], {
      name: `/layers.${n}/MatMul`,
    });
    x = g.node('Add', [x, g.weight(`b${n}`, [width], 'float32', 0.1)], { name: `/layers.${n}/Add` });
    x = g.node('Relu', [x], { name: `/layers.${n}/Relu` });
  }
  g.output(x, 'float32', ['batch', width]);
  return g;
}

/** Residual blocks of convolutions: image (batch, 3, 16, 16) to scores (batch, 10). */
export function cnn(blocks = 3, channels = 8, seed = 1): Graph {
  const g = new Graph('cnn', seed);
  const same = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] };
  const conv = (x: string, from: number, name: string) =>
    g.node(
      'Conv',
      [
        x,
        g.weight(`${name}.weight`, [channels, from, 3, 3], 'float32', 0.3),
        g.weight(`${name}.bias`, [channels], 'float32', 0.1),
      ],
      {
        name: `/${name.replaceAll('.', '/')}/Conv`,
        ...same,
      },
    );
  let x = conv(g.input('image', 'float32', ['batch', 3, 16, 16]), 3, 'stem');
  for (let n = 0; n < blocks; n++) {
    const inner = g.node('Relu', [conv(x, channels, `blocks.${n}.conv1`)], { name: `/blocks.${n}/Relu` });
    x = g.node('Add', [conv(inner, channels, `blocks.${n}.conv2`), x], { name: `/blocks.${n}/Add` });
    x = g.node('Relu', [x], { name: `/blocks.${n}/Relu_1` });
  }
  const pooled = g.node('Flatten', [g.node('GlobalAveragePool', [x], { name: '/pool/GlobalAveragePool' })], {
    name: '/Flatten',
  });
  g.output(g.node('Gemm', [pooled, g.weight('head.weight', [channels, 10])], { name: '/head/Gemm' }), 'float32', [
    'batch',
    10,
  ]);
  return g;
}

/** A detector of four boxes with a score each, and its features: image (batch, 3, 16, 16) to (batch, 4, 4), (batch, 4) and (batch, 8). */
export function detector(seed = 1): Graph {
  const g = new Graph('detector', seed);
  const image = g.input('image', 'float32', ['batch', 3, 16, 16]);
  const stem = g.weight('stem.weight', [8, 3, 3, 3], 'float32', 0.3);
  const seen = g.node('Relu', [g.node('Conv', [image, stem], { name: '/stem/Conv', kernel_shape: [3, 3] })], {
    name: '/stem/Relu',
  });
  const pooled = g.node('GlobalAveragePool', [seen], { name: '/pool/GlobalAveragePool' });
  const features = g.node('Flatten', [pooled], { name: '/Flatten', as: 'features' });
  const flat = g.node('MatMul', [features, g.weight('box.weight', [8, 16])], { name: '/box/MatMul' });
  const boxes = g.node('Reshape', [flat, g.integers('four', [0, 4, 4])], { name: '/box/Reshape', as: 'boxes' });
  const raw = g.node('MatMul', [features, g.weight('score.weight', [8, 4])], { name: '/score/MatMul' });
  g.output(boxes, 'float32', ['batch', 4, 4]);
  g.output(g.node('Sigmoid', [raw], { name: '/score/Sigmoid', as: 'scores' }), 'float32', ['batch', 4]);
  g.output(features, 'float32', ['batch', 8]);
  return g;
}

/**
 * A detector that chooses among its boxes: image (batch, 3, 16, 16) to (batch, 4, 4), (batch, 1, 4), and (found, 3) with the batch, class and box of
 * each that was found.
 */
export function choosing(seed = 1): Graph {
  const g = new Graph('choosing', seed);
  const image = g.input('image', 'float32', ['batch', 3, 16, 16]);
  const pooled = g.node('GlobalAveragePool', [image], { name: '/pool/GlobalAveragePool' });
  const features = g.node('Flatten', [pooled], { name: '/Flatten' });
  const flat = g.node('MatMul', [features, g.weight('box.weight', [3, 16])], { name: '/box/MatMul' });
  const boxes = g.node('Reshape', [flat, g.integers('four', [0, 4, 4])], { name: '/box/Reshape', as: 'boxes' });
  const raw = g.node('MatMul', [features, g.weight('score.weight', [3, 4])], { name: '/score/MatMul' });
  const each = g.node('Reshape', [g.node('Sigmoid', [raw], { name: '/score/Sigmoid' }), g.integers('one', [0, 1, 4])], {
    name: '/score/Reshape',
    as: 'scores',
  });
  const most = g.integers('most', [4]);
  const chosen = g.node('NonMaxSuppression', [boxes, each, most], { name: '/nms/NonMaxSuppression', as: 'found' });
  g.output(boxes, 'float32', ['batch', 4, 4]);
  g.output(each, 'float32', ['batch', 1, 4]);
  g.output(chosen, 'int64', ['found', 3]);
  return g;
}

/** Two inputs of different dtypes, two outputs, one tied weight, and one output that an inner op also reads. */
export function twoInTwoOut(seed = 1): Graph {
  const g = new Graph('two', seed);
  const a = g.input('a', 'float32', ['batch', 6]);
  const flag = g.input('flag', 'bool', ['batch', 6]);
  const tied = g.weight('tied', [6, 6]);
  const left = g.node('MatMul', [a, tied], { name: '/left/MatMul' });
  const chosen = g.node('Where', [flag, left, a], { name: '/Where' });
  const first = g.node('Tanh', [chosen], { name: '/Tanh' });
  const right = g.node('MatMul', [first, tied], { name: '/right/MatMul' });
  const best = g.node('ArgMax', [right], { name: '/ArgMax', axis: 1, keepdims: 0 });
  g.output(first, 'float32', ['batch', 6]);
  g.output(best, 'int64', ['batch']);
  return g;
}

/** One step of a decoder with a cache: x (batch, 2, 1, 4) and past (batch, 2, past, 4) to y and present, which is one step longer than past. */
export function cached(seed = 1): Graph {
  const g = new Graph('cached', seed);
  const x = g.input('x', 'float32', ['batch', 2, 1, 4]);
  const past = g.input('past', 'float32', ['batch', 2, 'past', 4]);
  // As long as past; empty for an empty past.
  const negated = g.node('Neg', [past], { name: '/key/Neg' });
  const key = g.node('MatMul', [x, g.weight('key', [4, 4])], { name: '/key/MatMul' });
  const present = g.node('Concat', [past, key], { name: '/Concat', axis: 2 });
  const turned = g.node('Transpose', [present], { name: '/Transpose', perm: [0, 1, 3, 2] });
  const scores = g.node('Softmax', [g.node('MatMul', [x, turned], { name: '/scores/MatMul' })], {
    name: '/Softmax',
    axis: 3,
  });
  const mixed = g.node('MatMul', [scores, present], { name: '/mix/MatMul' });
  g.output(g.node('MatMul', [mixed, g.weight('out', [4, 4])], { name: '/out/MatMul' }), 'float32', ['batch', 2, 1, 4]);
  g.output(present, 'float32', ['batch', 2, 'total', 4]);
  g.output(negated, 'float32', ['batch', 2, 'past', 4]);
  return g;
}

/** An If and a Loop whose bodies read values and weights of the outer graph. */
export function controlFlow(seed = 1): Graph {
  const g = new Graph('flow', seed);
  const x = g.input('x', 'float32', ['batch', 4]);
  const weight = g.weight('w', [4, 4]);
  const hidden = g.node('MatMul', [x, weight], { name: '/MatMul' });
  const sum = g.node('ReduceSum', [hidden], { name: '/ReduceSum', keepdims: 0 });
  const positive = g.node(
    'Greater',
    [sum, g.constant('none', { dtype: 'float32', shape: [], data: Float32Array.of(0) })],
    { name: '/Greater' },
  );
  const yes = new Graph('yes');
  yes.output(yes.node('MatMul', [hidden, weight]), 'float32', null);
  const no = new Graph('no');
  no.output(no.node('Neg', [x]), 'float32', null);
  const branch = g.node('If', [positive], { name: '/If', then_branch: yes, else_branch: no });
  const body = new Graph('body');
  body.input('step', 'int64', []);
  const go = body.input('go', 'bool', []);
  const carried = body.input('carried', 'float32', null);
  body.output(body.node('Identity', [go]), 'bool', []);
  body.output(body.node('Add', [carried, hidden]), 'float32', null);
  const always = g.constant('always', { dtype: 'bool', shape: [], data: Uint8Array.of(1) });
  const looped = g.node('Loop', [g.integers('times', [3], []), always, branch], { name: '/Loop', body });
  g.output(g.node('Tanh', [looped], { name: '/Tanh' }), 'float32', ['batch', 4]);
  return g;
}

/** A sequence value inside the model, which cannot cross a cut. */
export function sequences(seed = 1): Graph {
  const g = new Graph('sequences', seed);
  const x = g.node('MatMul', [g.input('x', 'float32', ['batch', 6]), g.weight('w', [6, 6])], { name: '/before' });
  const parts = g.node('SplitToSequence', [x, g.integers('size', [2], [])], { name: '/split', axis: 1 });
  const middle = g.node('SequenceAt', [parts, g.integers('second', [1], [])], { name: '/at' });
  const joined = g.node('ConcatFromSequence', [parts], { name: '/join', axis: 1 });
  g.output(g.node('Relu', [middle], { name: '/after' }), 'float32', ['batch', 2]);
  g.output(g.node('Relu', [joined], { name: '/after_too' }), 'float32', ['batch', 6]);
  return g;
}

/** Takes text, which cannot be pipelined. */
export function strings(): Graph {
  const g = new Graph('strings');
  const x = g.input('text', 'string', ['batch']);
  g.output(g.node('StringNormalizer', [x], { name: '/lower', case_change_action: 'LOWER' }), 'string', ['batch']);
  return g;
}

/** Text only inside the model: labels are looked up and converted back to numbers. */
export function innerStrings(): Graph {
  const g = new Graph('inner_strings');
  const x = g.node('Add', [g.input('x', 'int64', ['batch']), g.integers('one', [1], [])], { name: '/Add' });
  const words = ['zero', 'one', 'two', 'three'];
  const text = g.node('Gather', [g.constant('words', { dtype: 'string', shape: [4], data: words }), x], {
    name: '/Gather',
  });
  const same = g.node('Equal', [text, g.constant('two', { dtype: 'string', shape: [1], data: ['two'] })], {
    name: '/Equal',
  });
  g.output(g.node('Not', [same], { name: '/Not' }), 'bool', ['batch']);
  return g;
}

/** Weights in every form: inline, sparse, also declared as inputs, as a Constant, and as a function of weights. */
export function oddWeights(seed = 1): Graph {
  const g = new Graph('odd_weights', seed);
  let x = g.input('x', 'float32', ['batch', 16]);
  g.input('overridable', 'float32', [16, 16]);
  x = g.node('MatMul', [x, g.weight('overridable', [16, 16])], { name: '/overridable' });
  x = g.node('MatMul', [x, g.sparse('sparse', [16, 16], [0, 17, 34, 200], [1, -1, 0.5, 2])], { name: '/sparse' });
  const fixed = { dtype: 'float32', shape: [16, 16], data: new Float32Array(256).fill(0.25) };
  const constant = g.node('Constant', [], { name: '/constant', value: { tensor: fixed } });
  x = g.node('Add', [g.node('MatMul', [x, constant], { name: '/with_constant' }), x], { name: '/Add' });
  const turned = g.node('Transpose', [g.weight('turned', [16, 16])], { name: '/turned', perm: [1, 0] });
  x = g.node('Tanh', [g.node('MatMul', [x, turned], { name: '/with_turned' })], { name: '/Tanh' });
  x = g.node('MatMul', [x, turned], { name: '/with_turned_again' });
  g.output(x, 'float32', ['batch', 16]);
  g.output('overridable', 'float32', [16, 16]);
  return g;
}

/** Calls model-local functions, one of which calls the other. */
export function callers(seed = 1): { graph: Graph; functions: LocalFunction[] } {
  const g = new Graph('callers', seed);
  const x = g.node('Twice', [g.input('x', 'float32', ['batch', 8])], { name: '/first', domain: 'own' });
  const w = g.weight('w', [8, 8]);
  const y = g.node('Scaled', [g.node('MatMul', [x, w], { name: '/MatMul' }), w], { name: '/second', domain: 'own' });
  g.output(g.node('Relu', [y], { name: '/Relu' }), 'float32', ['batch', 8]);
  const twice = new Graph('twice');
  const scaled = new Graph('scaled');
  const product = scaled.node('MatMul', [scaled.node('Twice', ['a'], { domain: 'own' }), 'b']);
  return {
    graph: g,
    functions: [
      { domain: 'own', name: 'Twice', inputs: ['a'], outputs: [twice.node('Add', ['a', 'a'])], body: twice },
      { domain: 'own', name: 'Scaled', inputs: ['a', 'b'], outputs: [product], body: scaled },
    ],
  };
}

/** The part above the mean of all rows: x (batch, 6) to (batch, 6). */
export function centred(seed = 1): Graph {
  const g = new Graph('centred', seed);
  const made = g.node('MatMul', [g.input('x', 'float32', ['batch', 6]), g.weight('w', [6, 6])], { name: '/MatMul' });
  const mean = g.node('ReduceMean', [made, g.integers('axes', [0])], { name: '/ReduceMean', keepdims: 1 });
  g.output(g.node('Tanh', [g.node('Sub', [made, mean], { name: '/Sub' })], { name: '/Tanh' }), 'float32', ['batch', 6]);
  return g;
}

/** A BatchNormalization that was exported in training mode: it uses the mean and variance of the micro-batch. */
export function batchStatistics(seed = 1): Graph {
  const g = new Graph('statistics', seed);
  const made = g.node('MatMul', [g.input('x', 'float32', ['batch', 6]), g.weight('w', [6, 6])], { name: '/MatMul' });
  const settings = ['scale', 'bias', 'mean', 'variance'].map((name) => g.weight(name, [6], 'float32', 1));
  const normal = g.node('BatchNormalization', [made, ...settings], { name: '/Norm', outputs: 3, training_mode: 1 });
  g.output(g.node('Tanh', [normal], { name: '/Tanh' }), 'float32', ['batch', 6]);
  return g;
}

/** The cumulative sum over rows: x (batch, 6) to (batch, 6). */
export function running(seed = 1): Graph {
  const g = new Graph('running', seed);
  const made = g.node('MatMul', [g.input('x', 'float32', ['batch', 6]), g.weight('w', [6, 6])], { name: '/MatMul' });
  const sum = g.node('CumSum', [made, g.integers('axis', [0], [])], { name: '/CumSum' });
  g.output(g.node('Tanh', [sum], { name: '/Tanh' }), 'float32', ['batch', 6]);
  return g;
}
