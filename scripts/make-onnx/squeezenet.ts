/** SqueezeNet 1.1 (Iandola et al. 2016) with seeded weights: small weights, large activations, two branches in every module. */
import { Graph } from '../../src/prove/models/graph.js';

/** Channels of the squeeze and of each expand branch, by module. The image is halved before the modules in POOLED. */
const MODULES = [
  [16, 64],
  [16, 64],
  [32, 128],
  [32, 128],
  [48, 192],
  [48, 192],
  [64, 256],
  [64, 256],
] as const;
const POOLED = new Set([0, 2, 4]);

/** image (batch, 3, side, side) to scores (batch, 1000). */
export function squeezenet(side = 224, seed = 1): Graph {
  const g = new Graph('squeezenet', seed);
  const conv = (x: string, name: string, from: number, to: number, size: number, strides = 1) => {
    const weight = g.weight(`${name}.weight`, [to, from, size, size], 'float32', Math.sqrt(3 / (from * size * size)));
    const bias = g.weight(`${name}.bias`, [to], 'float32', 0.1);
    const pad = strides > 1 ? 0 : size >> 1;
    const window = { kernel_shape: [size, size], strides: [strides, strides], pads: [pad, pad, pad, pad] };
    const path = name.replaceAll('.', '/');
    return g.node('Relu', [g.node('Conv', [x, weight, bias], { name: `/${path}/Conv`, ...window })], {
      name: `/${path}/Relu`,
    });
  };
  let x = conv(g.input('image', 'float32', ['batch', 3, side, side]), 'stem', 3, 64, 3, 2);
  let depth = 64;
  for (const [n, [squeeze, expand]] of MODULES.entries()) {
    if (POOLED.has(n)) {
      x = g.node('MaxPool', [x], { name: `/fire.${n}/MaxPool`, kernel_shape: [3, 3], strides: [2, 2] });
    }
    const name = `fire.${n}`;
    const squeezed = conv(x, `${name}.squeeze`, depth, squeeze, 1);
    const branches = [
      conv(squeezed, `${name}.expand1x1`, squeeze, expand, 1),
      conv(squeezed, `${name}.expand3x3`, squeeze, expand, 3),
    ];
    x = g.node('Concat', branches, { name: `/${name}/Concat`, axis: 1 });
    depth = 2 * expand;
  }
  x = conv(x, 'classifier', depth, 1000, 1);
  const pooled = g.node('GlobalAveragePool', [x], { name: '/pool/GlobalAveragePool' });
  g.output(g.node('Flatten', [pooled], { name: '/Flatten', as: 'scores' }), 'float32', ['batch', 1000]);
  return g;
}
