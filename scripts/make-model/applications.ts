/** Common image classifiers of Keras, as LayersModels with seeded weights: (side, side, 3) -> (1000). */
import { inceptionV3 } from './inception.js';
import { Layers, type Ref } from './layers.js';
import type { ModelRecipe, ModelSize } from './layers-models.js';
import type { MadeModel } from './model-files.js';

/** The models of the benchmark figures. */
const SIZE: ModelSize = { width: 1000, blocks: 1, length: 96 };

export const APPLICATIONS: Readonly<Record<string, ModelRecipe>> = {
  'mobilenet-v2': { size: SIZE, make: mobilenetV2 },
  'efficientnet-b0': { size: SIZE, make: efficientnetB0 },
  'inception-v3': { size: SIZE, make: inceptionV3 },
  'resnet-50': { size: SIZE, make: resnet50 },
};

interface Normed {
  readonly strides?: number;
  /** No activation if absent. */
  readonly activation?: string;
}

/** Convolution without bias, batch normalisation, activation. */
function normed(
  model: Layers,
  name: string,
  x: Ref,
  filters: number,
  size: number,
  { strides = 1, activation }: Normed = {},
): Ref {
  const y = model.batchNorm(`${name}_bn`, model.conv2d(name, x, filters, size, { strides, bias: false }));
  return activation ? model.activation(`${name}_${activation}`, y, activation) : y;
}

function depthwiseNormed(
  model: Layers,
  name: string,
  x: Ref,
  size: number,
  { strides = 1, activation = 'relu6' }: Normed,
): Ref {
  const y = model.batchNorm(`${name}_bn`, model.depthwise(name, x, size, { strides, bias: false }));
  return model.activation(`${name}_${activation}`, y, activation);
}

function classifier(model: Layers, name: string, x: Ref, classes: number): MadeModel {
  return model.functional(name, [model.dense('predictions', model.globalPool('avg_pool', x), classes, 'softmax')]);
}

/** Sandler et al. 2018, table 2: expansion, channels, blocks, stride of the first. */
function mobilenetV2({ length, width }: ModelSize): MadeModel {
  const model = new Layers();
  let x = model.input('image', [length, length, 3]);
  x = normed(model, 'stem', x, 32, 3, { strides: 2, activation: 'relu6' });
  const table = [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
  ] as const;
  for (const [stage, [expansion, channels, blocks, first]] of table.entries()) {
    for (let n = 0; n < blocks; n++) {
      const name = `s${stage}_b${n}`;
      const depth = x.shape[2]!;
      let y = x;
      if (expansion > 1) y = normed(model, `${name}_expand`, y, expansion * depth, 1, { activation: 'relu6' });
      y = depthwiseNormed(model, `${name}_depthwise`, y, 3, { strides: n === 0 ? first : 1 });
      y = normed(model, `${name}_project`, y, channels, 1);
      x = n > 0 ? model.add(`${name}_add`, x, y) : y;
    }
  }
  x = normed(model, 'head', x, 1280, 1, { activation: 'relu6' });
  return classifier(model, 'mobilenet_v2', x, width);
}

/** Tan and Le 2019, table 1: expansion, kernel, channels, blocks, stride of the first. */
function efficientnetB0({ length, width }: ModelSize): MadeModel {
  const model = new Layers();
  let x = model.input('image', [length, length, 3]);
  x = normed(model, 'stem', x, 32, 3, { strides: 2, activation: 'swish' });
  const table = [
    [1, 3, 16, 1, 1],
    [6, 3, 24, 2, 2],
    [6, 5, 40, 2, 2],
    [6, 3, 80, 3, 2],
    [6, 5, 112, 3, 1],
    [6, 5, 192, 4, 2],
    [6, 3, 320, 1, 1],
  ] as const;
  for (const [stage, [expansion, kernel, channels, blocks, first]] of table.entries()) {
    for (let n = 0; n < blocks; n++) {
      const name = `s${stage}_b${n}`;
      const depth = x.shape[2]!;
      let y = x;
      if (expansion > 1) y = normed(model, `${name}_expand`, y, expansion * depth, 1, { activation: 'swish' });
      y = depthwiseNormed(model, `${name}_depthwise`, y, kernel, { strides: n === 0 ? first : 1, activation: 'swish' });
      y = squeezeExcite(model, name, y, Math.max(1, depth >> 2));
      y = normed(model, `${name}_project`, y, channels, 1);
      x = n > 0 ? model.add(`${name}_add`, x, y) : y;
    }
  }
  x = normed(model, 'head', x, 1280, 1, { activation: 'swish' });
  return classifier(model, 'efficientnet_b0', x, width);
}

/** Squeeze and excite: a factor for each channel, from all positions. */
function squeezeExcite(model: Layers, name: string, x: Ref, squeezed: number): Ref {
  const channels = x.shape[2]!;
  const pooled = model.reshape(`${name}_se_reshape`, model.globalPool(`${name}_se_pool`, x), [1, 1, channels]);
  const small = model.conv2d(`${name}_se_reduce`, pooled, squeezed, 1, { activation: 'swish' });
  const gates = model.conv2d(`${name}_se_expand`, small, channels, 1, { activation: 'sigmoid' });
  return model.call('Multiply', `${name}_se_excite`, [x, gates], x.shape);
}

/** He et al. 2015, table 1: channels and blocks of the four stages; a block is 1 x 1, 3 x 3, 1 x 1 with four times the channels. */
function resnet50({ length, width }: ModelSize): MadeModel {
  const model = new Layers();
  let x = model.input('image', [length, length, 3]);
  x = normed(model, 'stem', x, 64, 7, { strides: 2, activation: 'relu' });
  x = model.pool('stem_pool', 'max', x, 3, { strides: 2, padding: 'same' });
  for (const [stage, [channels, blocks]] of [
    [64, 3],
    [128, 4],
    [256, 6],
    [512, 3],
  ].entries()) {
    for (let n = 0; n < blocks!; n++) {
      const name = `s${stage}_b${n}`;
      const strides = n === 0 && stage > 0 ? 2 : 1;
      let y = normed(model, `${name}_conv1`, x, channels!, 1, { strides, activation: 'relu' });
      y = normed(model, `${name}_conv2`, y, channels!, 3, { activation: 'relu' });
      y = normed(model, `${name}_conv3`, y, 4 * channels!, 1);
      const shortcut = n === 0 ? normed(model, `${name}_project`, x, 4 * channels!, 1, { strides }) : x;
      x = model.activation(`${name}_relu`, model.add(`${name}_add`, shortcut, y), 'relu');
    }
  }
  return classifier(model, 'resnet_50', x, width);
}
