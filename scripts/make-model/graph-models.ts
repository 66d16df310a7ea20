/** The generated GraphModels, by name. */
import { branch, loop, tables } from './flow-models.js';
import { bool, float, Graph, int, ints, text, type } from './graph.js';
import type { ModelRecipe, ModelSize } from './layers-models.js';
import type { MadeModel } from './model-files.js';

export const GRAPH_MODELS: Readonly<Record<string, ModelRecipe>> = {
  'mlp-graph': { size: { width: 32, blocks: 3, length: 16 }, make: mlp },
  'residual-cnn-graph': { size: { width: 8, blocks: 2, length: 12 }, make: residualCnn },
  'two-in-two-out-graph': { size: { width: 12, blocks: 2, length: 8 }, make: twoInTwoOut },
  'transformer-graph': { size: { width: 16, blocks: 2, length: 6 }, make: transformer },
  'centred-graph': { size: { width: 8, blocks: 1, length: 6 }, make: centred },
  branch: { size: { width: 8, blocks: 2, length: 8 }, make: branch },
  loop: { size: { width: 6, blocks: 3, length: 6 }, make: loop },
  tables: { size: { width: 6, blocks: 1, length: 5 }, make: tables },
};

const FLOAT = { T: type('DT_FLOAT') };

/** (length) -> blocks x (width) -> (4), weights of the blocks stored as uint8. */
function mlp({ width, blocks, length }: ModelSize): MadeModel {
  const graph = new Graph();
  let x = graph.input('features', [length]);
  for (let n = 0; n < blocks; n++) {
    x = graph.node('Relu', `hidden_${n}/Relu`, [
      graph.dense(`hidden_${n}`, x, n === 0 ? length : width, width, { quantized: true }),
    ]);
  }
  const scores = graph.node('Softmax', 'scores/Softmax', [graph.dense('scores', x, width, 4)]);
  return graph.model({ scores });
}

/** (length) -> the part above the mean of all rows -> (width). */
function centred({ width, length }: ModelSize): MadeModel {
  const graph = new Graph();
  const made = graph.dense('made', graph.input('features', [length]), length, width);
  const mean = graph.node('Mean', 'mean/Mean', [made, graph.ints('mean/axes', 0)], {
    ...FLOAT,
    Tidx: type('DT_INT32'),
    keep_dims: bool(true),
  });
  const centre = graph.node('Sub', 'centre/Sub', [made, mean]);
  return graph.model({ answer: graph.node('Tanh', 'answer/Tanh', [centre]) });
}

/** (side, side, 3) -> residual blocks, with pooling between them -> (4). */
function residualCnn({ width, blocks, length }: ModelSize): MadeModel {
  const graph = new Graph();
  const conv = (name: string, x: string, from: number, to: number) => {
    const limit = Math.sqrt(6 / (9 * (from + to)));
    graph.constant({
      name: `${name}/kernel`,
      shape: [3, 3, from, to],
      low: -limit,
      high: limit,
      quantized: name.endsWith('conv1'),
    });
    const convolved = graph.node('Conv2D', `${name}/Conv2D`, [x, `${name}/kernel`], {
      ...FLOAT,
      strides: ints(1, 1, 1, 1),
      dilations: ints(1, 1, 1, 1),
      padding: text('SAME'),
      data_format: text('NHWC'),
    });
    const statistics = (['gamma', 'beta', 'mean', 'variance'] as const).map((part) =>
      graph.constant({
        name: `${name}/bn/${part}`,
        shape: [to],
        low: part === 'beta' || part === 'mean' ? -0.5 : 0.5,
        high: part === 'beta' || part === 'mean' ? 0.5 : 1.5,
      }),
    );
    return graph.node('FusedBatchNormV3', `${name}/bn`, [convolved, ...statistics], {
      ...FLOAT,
      U: type('DT_FLOAT'),
      epsilon: float(0.001),
      is_training: bool(false),
      data_format: text('NHWC'),
    });
  };
  let x = graph.node('Relu', 'stem/Relu', [conv('stem', graph.input('image', [length, length, 3]), 3, width)]);
  for (let n = 0; n < blocks; n++) {
    const inner = graph.node('Relu', `b${n}/Relu`, [conv(`b${n}/conv1`, x, width, width)]);
    const sum = graph.node('AddV2', `b${n}/add`, [conv(`b${n}/conv2`, inner, width, width), x]);
    x = graph.node('MaxPool', `b${n}/MaxPool`, [graph.node('Relu', `b${n}/out`, [sum])], {
      ...FLOAT,
      ksize: ints(1, 2, 2, 1),
      strides: ints(1, 2, 2, 1),
      padding: text('SAME'),
      data_format: text('NHWC'),
    });
  }
  const pooled = graph.node('Mean', 'pool/Mean', [x, graph.ints('pool/axes', 1, 2)], {
    ...FLOAT,
    Tidx: type('DT_INT32'),
    keep_dims: bool(false),
  });
  return graph.model({ scores: graph.node('Softmax', 'scores/Softmax', [graph.dense('scores', pooled, width, 4)]) });
}

/** Two towers with the same weights, a Split whose halves are used far apart, a control edge, and an output from an early op. */
function twoInTwoOut({ width, length }: ModelSize): MadeModel {
  const graph = new Graph();
  const left = graph.input('left', [length]);
  const right = graph.input('right', [length]);
  const tower = (name: string, x: string) =>
    graph.node('Tanh', `${name}/Tanh`, [graph.dense(name, x, length, width, { weights: 'shared' })]);
  const a = tower('tower_left', left);
  const b = tower('tower_right', right);
  const half = width / 2;
  const split = graph.node('Split', 'split', [graph.int('split/axis', 1), a], { ...FLOAT, num_split: int(2) });
  const early = graph.node('Sigmoid', 'early/Sigmoid', [graph.dense('early', split, half, 2)]);
  const joined = graph.node('ConcatV2', 'concat', [b, `${split}:1`, graph.int('concat/axis', 1)], {
    ...FLOAT,
    N: int(2),
    Tidx: type('DT_INT32'),
  });
  const back = graph.node('Relu', 'back/Relu', [graph.dense('back', joined, width + half, length), `^${early}`]);
  const late = graph.node('Softmax', 'late/Softmax', [
    graph.dense('late', graph.node('AddV2', 'skip', [back, left]), length, 3),
  ]);
  return graph.model({ late, early });
}

/** Token numbers (length) -> blocks of two-headed attention and feed-forward -> (3); shapes are computed as Keras exports them. */
function transformer({ width, blocks, length }: ModelSize): MadeModel {
  const graph = new Graph();
  const heads = 2;
  const reshape = (name: string, x: string, shape: string) =>
    graph.node('Reshape', name, [x, shape], { ...FLOAT, Tshape: type('DT_INT32') });
  const tokens = graph.input('tokens', [length], 'DT_INT32');
  const words = graph.constant({ name: 'embed/words', shape: [50, width] });
  let x = graph.node('GatherV2', 'embed/GatherV2', [words, tokens, graph.int('embed/axis', 0)], {
    Tparams: type('DT_FLOAT'),
    Tindices: type('DT_INT32'),
    Taxis: type('DT_INT32'),
    batch_dims: int(0),
  });
  // The number of rows, read from the tokens once and used by every block.
  const size = graph.node('Shape', 'rows/Shape', [tokens], { T: type('DT_INT32'), out_type: type('DT_INT32') });
  const rows = graph.node(
    'StridedSlice',
    'rows/StridedSlice',
    [size, graph.ints('rows/begin', 0), graph.ints('rows/end', 1), graph.ints('rows/strides', 1)],
    {
      T: type('DT_INT32'),
      Index: type('DT_INT32'),
      begin_mask: int(0),
      end_mask: int(0),
      ellipsis_mask: int(0),
      new_axis_mask: int(0),
      shrink_axis_mask: int(1),
    },
  );
  const pack = (name: string, ...dims: readonly string[]) =>
    graph.node('Pack', name, [rows, ...dims], { T: type('DT_INT32'), N: int(dims.length + 1), axis: int(0) });
  const [steps, depth, headCount, headDepth] = [
    graph.int('dims/steps', length),
    graph.int('dims/width', width),
    graph.int('dims/heads', heads),
    graph.int('dims/head', width / heads),
  ];
  const flat = graph.ints('dims/flat', -1, width);
  const linear = (name: string, y: string, from: number, to: number, activation?: string) => {
    const rowsFirst = reshape(`${name}/flat`, y, from === width ? flat : graph.ints(`${name}/flat_shape`, -1, from));
    const made = graph.dense(name, rowsFirst, from, to);
    return activation ? graph.node(activation, `${name}/${activation}`, [made]) : made;
  };
  const norm = (name: string, y: string) => {
    const axis = graph.ints(`${name}/axis`, -1);
    const reduce = { ...FLOAT, Tidx: type('DT_INT32'), keep_dims: bool(true) };
    const mean = graph.node('Mean', `${name}/mean`, [y, axis], reduce);
    const variance = graph.node(
      'Mean',
      `${name}/variance`,
      [graph.node('SquaredDifference', `${name}/square`, [y, mean]), axis],
      reduce,
    );
    const epsilon = graph.constant({ name: `${name}/epsilon`, shape: [], values: [1e-3] });
    const scale = graph.node('Rsqrt', `${name}/Rsqrt`, [graph.node('AddV2', `${name}/add`, [variance, epsilon])]);
    const gamma = graph.constant({ name: `${name}/gamma`, shape: [width], low: 0.5, high: 1.5 });
    return graph.node('Mul', `${name}/scaled`, [
      graph.node('Mul', `${name}/Mul`, [graph.node('Sub', `${name}/Sub`, [y, mean]), scale]),
      gamma,
    ]);
  };
  for (let n = 0; n < blocks; n++) {
    const normed = norm(`b${n}/ln1`, x);
    const split = pack(`b${n}/split_shape`, steps, headCount, headDepth);
    const head = (part: string, ...order: readonly number[]) => {
      const parted = reshape(`b${n}/${part}/split`, linear(`b${n}/${part}`, normed, width, width), split);
      return graph.node('Transpose', `b${n}/${part}/Transpose`, [parted, graph.ints(`b${n}/${part}/perm`, ...order)], {
        ...FLOAT,
        Tperm: type('DT_INT32'),
      });
    };
    const product = (name: string, a: string, b: string) =>
      graph.node('BatchMatMulV2', name, [a, b], { ...FLOAT, adj_x: bool(false), adj_y: bool(false) });
    const scores = product(`b${n}/scores`, head('q', 0, 2, 1, 3), head('k', 0, 2, 3, 1));
    const mixed = product(`b${n}/mix`, graph.node('Softmax', `b${n}/Softmax`, [scores]), head('v', 0, 2, 1, 3));
    const merged = graph.node('Transpose', `b${n}/merge`, [mixed, graph.ints(`b${n}/merge/perm`, 0, 2, 1, 3)], {
      ...FLOAT,
      Tperm: type('DT_INT32'),
    });
    const whole = pack(`b${n}/whole_shape`, steps, depth);
    x = graph.node('AddV2', `b${n}/add1`, [
      x,
      reshape(`b${n}/out/whole`, linear(`b${n}/out`, merged, width, width), whole),
    ]);
    const inner = linear(`b${n}/up`, norm(`b${n}/ln2`, x), width, 2 * width, 'Elu');
    x = graph.node('AddV2', `b${n}/add2`, [
      x,
      reshape(`b${n}/down/whole`, linear(`b${n}/down`, inner, 2 * width, width), whole),
    ]);
  }
  const pooled = graph.node('Mean', 'pool/Mean', [x, graph.ints('pool/axis', 1)], {
    ...FLOAT,
    Tidx: type('DT_INT32'),
    keep_dims: bool(false),
  });
  return graph.model({ scores: graph.node('Softmax', 'scores/Softmax', [graph.dense('scores', pooled, width, 3)]) });
}
