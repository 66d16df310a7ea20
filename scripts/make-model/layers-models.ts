/** The generated LayersModels, by name. */
import { Layers, type Ref } from './layers.js';
import type { MadeModel } from './model-files.js';

export interface ModelSize {
  /** Units of a hidden layer, channels of a convolution. */
  readonly width: number;
  /** Number of blocks. */
  readonly blocks: number;
  /** Sequence length of a row, or side of an image. */
  readonly length: number;
}

export interface ModelRecipe {
  /** Default sizes. */
  readonly size: ModelSize;
  make(size: ModelSize): MadeModel;
}

export const LAYERS_MODELS: Readonly<Record<string, ModelRecipe>> = {
  mlp: { size: { width: 32, blocks: 3, length: 16 }, make: mlp },
  'dense-12': { size: { width: 64, blocks: 12, length: 64 }, make: denseBlocks },
  'residual-cnn': { size: { width: 8, blocks: 3, length: 12 }, make: residualCnn },
  'two-in-two-out': { size: { width: 12, blocks: 2, length: 8 }, make: twoInTwoOut },
  transformer: { size: { width: 16, blocks: 2, length: 6 }, make: transformer },
  nested: { size: { width: 6, blocks: 2, length: 4 }, make: nested },
  recurrent: { size: { width: 8, blocks: 3, length: 5 }, make: recurrent },
  'lstm-mask': { size: { width: 8, blocks: 2, length: 6 }, make: lstmMask },
};

/** Sequential: (length) -> blocks x (width) -> (4). */
function mlp({ width, blocks, length }: ModelSize): MadeModel {
  const model = new Layers();
  let x = model.input('features', [length]);
  for (let n = 0; n < blocks; n++) x = model.dense(`hidden_${n}`, x, width, 'relu');
  model.dense('scores', x, 4, 'softmax');
  return model.sequential('mlp');
}

/** Equal blocks, each one Dense of (width) -> (width): any cut into equal runs is balanced. */
function denseBlocks({ width, blocks }: ModelSize): MadeModel {
  const model = new Layers();
  let x = model.input('features', [width]);
  for (let n = 0; n < blocks; n++) x = model.dense(`block_${n}`, x, width, n + 1 < blocks ? 'relu' : 'linear');
  return model.sequential('dense');
}

/** (side, side, 3) -> residual blocks, the second at half the size with a projected shortcut -> (4). */
function residualCnn({ width, blocks, length }: ModelSize): MadeModel {
  const model = new Layers();
  let x = model.input('image', [length, length, 3]);
  x = model.activation('stem_relu', model.batchNorm('stem_bn', model.conv2d('stem', x, width, 3)), 'relu');
  for (let n = 0; n < blocks; n++) {
    const halves = n === 1;
    const depth = halves ? 2 * x.shape[2]! : x.shape[2]!;
    const strides = halves ? 2 : 1;
    let y = model.conv2d(`b${n}_conv1`, x, depth, 3, { strides });
    y = model.activation(`b${n}_relu1`, model.batchNorm(`b${n}_bn1`, y), 'relu');
    y = n % 2 === 0 ? model.conv2d(`b${n}_conv2`, y, depth, 3) : model.depthwise(`b${n}_conv2`, y, 3);
    y = model.batchNorm(`b${n}_bn2`, y);
    const shortcut = halves ? model.conv2d(`b${n}_project`, x, depth, 1, { strides }) : x;
    x = model.activation(`b${n}_relu2`, model.add(`b${n}_add`, y, shortcut), 'relu');
  }
  const pooled = model.call('GlobalAveragePooling2D', 'pool', [x], [x.shape[2]!], { data_format: 'channels_last' });
  return model.functional('residual_cnn', [model.dense('scores', pooled, 4, 'softmax')]);
}

/** Two towers through one shared layer; the second output comes from an early layer, and a late layer needs the first input. */
function twoInTwoOut({ width, length }: ModelSize): MadeModel {
  const model = new Layers();
  const left = model.input('left', [length]);
  const right = model.input('right', [length]);
  const a = model.dense('shared', model.dense('left_in', left, width, 'tanh'), width, 'relu');
  const b = model.dense('shared', model.dense('right_in', right, width, 'tanh'), width, 'relu');
  const early = model.dense('early', b, 2, 'sigmoid');
  const joined = model.dense('join', model.concat('concat', a, b), length, 'relu');
  const late = model.dense('late', model.add('skip', joined, left), 3, 'softmax');
  return model.functional('two_in_two_out', [late, early]);
}

/** Token numbers (length) -> blocks of attention and feed-forward on a residual stream (length, width) -> (3). */
function transformer({ width, blocks, length }: ModelSize): MadeModel {
  const model = new Layers();
  let x = model.embedding('embed', model.input('tokens', [length], 'int32'), 50, width);
  for (let n = 0; n < blocks; n++) {
    const normed = model.layerNorm(`b${n}_ln1`, x);
    const [q, k, v] = ['q', 'k', 'v'].map((part) => model.dense(`b${n}_${part}`, normed, width)) as [Ref, Ref, Ref];
    const scores = model.call('Dot', `b${n}_scores`, [q, k], [length, length], { axes: [2, 2], normalize: false });
    const attention = model.activation(`b${n}_softmax`, scores, 'softmax');
    const mixed = model.call('Dot', `b${n}_mix`, [attention, v], [length, width], { axes: [2, 1], normalize: false });
    x = model.add(`b${n}_add1`, x, model.dense(`b${n}_out`, mixed, width));
    const inner = model.dense(`b${n}_up`, model.layerNorm(`b${n}_ln2`, x), 4 * width, 'relu');
    x = model.add(`b${n}_add2`, x, model.dense(`b${n}_down`, inner, width));
  }
  const pooled = model.call('GlobalAveragePooling1D', 'pool', [model.layerNorm('ln', x)], [width]);
  return model.functional('transformer', [model.dense('scores', pooled, 3, 'softmax')]);
}

/** (length, width) -> alternating LSTMs and GRUs that pass sequences on -> (3). */
function recurrent({ width, blocks, length }: ModelSize): MadeModel {
  const model = new Layers();
  let x = model.input('steps', [length, width]);
  for (let n = 0; n < blocks; n++) {
    const returnSequences = n + 1 < blocks;
    const name = `${n % 2 === 0 ? 'lstm' : 'gru'}_${n}`;
    x = n % 2 === 0 ? model.lstm(name, x, width, { returnSequences }) : model.gru(name, x, width, returnSequences);
  }
  return model.functional('recurrent', [model.dense('scores', x, 3, 'softmax')]);
}

/** Token numbers (length), 0 is padding -> masked LSTMs -> (2): cuts are legal only after the last LSTM. */
function lstmMask({ width, blocks, length }: ModelSize): MadeModel {
  const model = new Layers();
  let x = model.embedding('embed', model.input('tokens', [length]), 20, width, true);
  for (let n = 0; n < blocks; n++) x = model.lstm(`lstm_${n}`, x, width, { returnSequences: n + 1 < blocks });
  x = model.dense('hidden', x, width, 'relu');
  return model.functional('lstm_mask', [model.dense('scores', x, 2, 'softmax')]);
}

/** (length, width) -> recurrent layers, wrapped ones, states used later than sequences, and a nested model that is called twice. */
function nested({ width, length }: ModelSize): MadeModel {
  const inner = new Layers();
  const inside = inner.input('inner_input', [width]);
  const changed = inner.dense('inner_dense', inside, width, 'tanh');
  const block = inner.functional('block', [inner.add('inner_add', changed, inside)]);
  const model = new Layers();
  const x = model.input('steps', [length, width]);
  const sequence = model.lstm('lstm', x, width, { returnSequences: true, returnState: true });
  const state: Ref = { ...sequence, tensor: 2, shape: [width] };
  const timed = model.timeDistributedDense('timed', sequence, width);
  const both = model.bidirectionalLstm('both', timed, width / 2);
  const a = model.nested('block', block, [both], [width]);
  const b = model.nested('block', block, [state], [width]);
  return model.functional('nested', [model.dense('scores', model.add('sum', a, b), 2, 'softmax'), b]);
}
