/** Inception V3 (Szegedy et al. 2015) as a LayersModel with seeded weights, block for block as in Keras: (side, side, 3) -> (1000). */
import { Layers, type Ref } from './layers.js';
import type { ModelSize } from './layers-models.js';
import type { MadeModel } from './model-files.js';

type Kernel = number | readonly [number, number];
/** Filters, kernel, and stride and padding if they are not 1 and "same". */
type Step = readonly [filters: number, kernel: Kernel, options?: { strides?: number; padding?: 'valid' }];

/** Builds sequences of convolutions and parallel branches; names are numbered. */
class Inception {
  readonly model = new Layers();
  #count = 0;

  /** Convolution without bias, batch normalisation, ReLU; applied for each of `steps`. */
  chain(x: Ref, ...steps: readonly Step[]): Ref {
    return steps.reduce((from, [filters, kernel, { strides = 1, padding = 'same' as 'same' | 'valid' } = {}]) => {
      const n = this.#count++;
      const conv = this.model.conv2d(`conv_${n}`, from, filters, kernel, { strides, padding, bias: false });
      return this.model.activation(`relu_${n}`, this.model.batchNorm(`bn_${n}`, conv), 'relu');
    }, x);
  }

  pool(kind: 'max' | 'average', x: Ref, strides: number): Ref {
    const padding = strides === 1 ? 'same' : 'valid';
    return this.model.pool(`${kind}_pool_${this.#count++}`, kind, x, 3, { strides, padding });
  }

  join(...branches: readonly Ref[]): Ref {
    return this.model.concat(`mixed_${this.#count++}`, ...branches);
  }
}

export function inceptionV3({ length, width }: ModelSize): MadeModel {
  const net = new Inception();
  const image = net.model.input('image', [length, length, 3]);
  let x = net.chain(image, [32, 3, { strides: 2, padding: 'valid' }], [32, 3, { padding: 'valid' }], [64, 3]);
  x = net.pool('max', x, 2);
  x = net.chain(x, [80, 1, { padding: 'valid' }], [192, 3, { padding: 'valid' }]);
  x = net.pool('max', x, 2);
  for (const pooled of [32, 64, 64]) x = small(net, x, pooled);
  const halved = net.chain(x, [64, 1], [96, 3], [96, 3, { strides: 2, padding: 'valid' }]);
  x = net.join(net.chain(x, [384, 3, { strides: 2, padding: 'valid' }]), halved, net.pool('max', x, 2));
  for (const inner of [128, 160, 160, 192]) x = factored(net, x, inner);
  const left = net.chain(x, [192, 1], [320, 3, { strides: 2, padding: 'valid' }]);
  const right = net.chain(x, [192, 1], [192, [1, 7]], [192, [7, 1]], [192, 3, { strides: 2, padding: 'valid' }]);
  x = net.join(left, right, net.pool('max', x, 2));
  for (let n = 0; n < 2; n++) x = wide(net, x);
  const { model } = net;
  const pooled = model.globalPool('avg_pool', x);
  return model.functional('inception_v3', [model.dense('predictions', pooled, width, 'softmax')]);
}

/** Figure 5 of the paper. */
function small(net: Inception, x: Ref, pooled: number): Ref {
  const narrow = net.chain(x, [64, 1]);
  const five = net.chain(x, [48, 1], [64, 5]);
  const three = net.chain(x, [64, 1], [96, 3], [96, 3]);
  return net.join(narrow, five, three, net.chain(net.pool('average', x, 1), [pooled, 1]));
}

/** Figure 6: 7 x 7 as 1 x 7 and 7 x 1. */
function factored(net: Inception, x: Ref, inner: number): Ref {
  const narrow = net.chain(x, [192, 1]);
  const once = net.chain(x, [inner, 1], [inner, [1, 7]], [192, [7, 1]]);
  const twice = net.chain(x, [inner, 1], [inner, [7, 1]], [inner, [1, 7]], [inner, [7, 1]], [192, [1, 7]]);
  return net.join(narrow, once, twice, net.chain(net.pool('average', x, 1), [192, 1]));
}

/** Figure 7: 3 x 3 as parallel 1 x 3 and 3 x 1. */
function wide(net: Inception, x: Ref): Ref {
  const narrow = net.chain(x, [320, 1]);
  const both = (from: Ref) => net.join(net.chain(from, [384, [1, 3]]), net.chain(from, [384, [3, 1]]));
  const three = both(net.chain(x, [384, 1]));
  const five = both(net.chain(x, [448, 1], [384, 3]));
  return net.join(narrow, three, five, net.chain(net.pool('average', x, 1), [192, 1]));
}
